"""Floor 1: the nouns. Frozen types, policies, the Observer protocol and the error tree.

Nothing here does anything to the outside world: no I/O, no await that touches a file or socket, no clock. Protocols that two
rooms of floor 4 share (the Sink that a source fills and a destination provides, the keeper of host-key pins) live here,
because those rooms must not see each other.
"""
