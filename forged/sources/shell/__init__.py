"""A source over a plain POSIX shell: for boxes that have neither Python nor SFTP, only `sh` and the tools that busybox brings.

A channel leads to a `sh` that reads its commands from standard input; a few short functions (`script`) are defined there first,
and then called for each question. Paths go there as bytes in single quotes, never otherwise. Slower than an agent, blind to what
happens between two listings, and without a guard for removals: `client` says what is lost.

What must not be here: how a shell is reached (SSH, `docker exec`): that is an `OpenShell` of the others.
"""
