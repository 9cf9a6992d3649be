"""Floor 4: where media is made. One contract (base), one body per kind of access: SSH through the agent, SFTP, Docker, local,
and the memory twin for tests.

    ssh, sftp, docker, local      what a scheme leads to; a box is reached by the best of its `ways`: `agent`, `sftp`, `shell`
    login, hostkeys               who logs in, where, with which keys (~/.ssh/config); whether it is the right box
    ssh_link, ssh_channel         a connection, and one process over it; `ssh_shells` are shells over it
    piped                         a process of this machine, over its pipes
    local_*                       the parts of a local folder's source
    coat, routed                  a source around one that it chose; whichever of several addresses answers
    retrying                      connects again, and asks only for what was not answered
    placed, placed_*              folders that are really elsewhere, and their files under the target's names
    memory, memory_*              the toy twin, and what can be made to go wrong in it

What must not be here: decisions (which files, when, whether to remove: rules), paths at home, the state database. Everything
that comes from a source is hostile until it has been parsed strictly and bounded.
"""
