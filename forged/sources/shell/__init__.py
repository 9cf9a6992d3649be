"""A source over a plain POSIX shell: for boxes that have neither Python nor SFTP, only `sh` and the tools that busybox brings.

A channel leads to a `sh` that reads its commands from standard input; a few short functions (`script`) are defined there first,
and then called for each question. Paths go there as bytes in single quotes, never otherwise. Slower than an agent, blind to what
happens between two listings, and without a guard for removals: `client` says what is lost.

    client, shells        the source, and its shells: for questions, for hashes, for each listing, for files
    opening, lane         what a shell is reached by; one of them, which answers one question after the other
    script, answers       what it is told, and what its answers mean, read strictly
    listing, reading      the records of a listing; the lane that brings files

What must not be here: how a shell is reached (SSH, `docker exec`): that is an `OpenShell` of the others.
"""
