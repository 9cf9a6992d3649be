"""Floor 1: the nouns. Frozen types, policies, the Observer protocol and the error tree.

Nothing here does anything to the outside world: no I/O, no await that touches a file or socket, no clock. Protocols that two
rooms of floor 4 share (the Sink that a source fills and a destination provides, the keeper of host-key pins) live here,
because those rooms must not see each other.

    paths, files, places          names as bytes, what a source says about them, where a folder really is
    plan, transfer                what differs; the chain of proofs of one file, and the sink between two rooms
    manifest, removal             what is remembered, and what may go at the source
    media, sidecars               what is in a file, and who writes it beside
    jobs, observer, errors        one sync; how rooms report; what went wrong, what it stops, and what to do
    events, ingest, handing       facts for handlers, what they say of a file, and what a handler did not take
    finding                       what is looked for in the catalog
    target, settings, boxes       what the owner asked for: each target, all beside it; the machines that discoveries show
    alarms, exits                 what somebody has to hear at once; how a command ends
    rpc                           what the control socket answers
"""
