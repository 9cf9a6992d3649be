"""The source behind `docker://`: a container of Docker's engine, or of Podman's socket, which speaks the same (API 1.41).

    engine          where the engine is, one client of it, its errors in forged's words
    container       a name becomes a running container, and a process in it
    session         one process in a container: its standard streams, with a bound on what is buffered
    channel         such a process that runs an agent
    source          which body a container gets: the agent, or what its shell can do

What must not be here: a second way to list or fetch. The bodies are those of every other transport.
"""
