"""The source over SFTP version 3, for boxes that run no programs of ours, and what such a server can do: list, read, remove.

    wire, answers   packets as bytes, and answers taken apart, without I/O
    channel         a channel that leads to a server
    lane            one server: questions asked and answered, each within its bounds
    listing, scan   the tree, walked in order; one folder, and how much of it is held
    fetch, look     ranges of files read ahead; files looked at once more
    removal, clock  removing without a guard; what time it is there, of what files' times tell
    source          all of it, as the contract wants it

What must not be here: how a server is reached and trusted (`ssh_link`). asyncssh's own SFTP client is not used: it does not bound
what a hostile server makes it hold.
"""
