"""The agent: `program` runs at the source from memory (one stdlib-only file), `wire` is what both ends say to each other,
`client` is our end.

    launch, channel     how it comes to run, and the stream of bytes to it; `attended` notices when that falls silent
    lane, lanes         one agent at the end of one channel, and all of a source; `growth` says how many get work
    pulse               whether an agent still does what was asked of it: silence, a drip and a flood end its lane
    calls               what is asked, and what is accepted as an answer
    listing, watching   `blocks` and news, strictly checked
    fetching            files cut into `slices`, whose turn it is (`waiting`), carried by a `pump`, so much ahead as `window` says

What must not be here: how the channel came to be (ssh, docker and local bring one).
"""
