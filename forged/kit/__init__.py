"""The ground: tools that know nothing of forged. Clock, tasks, flow, budgets, bandwidth, backoff, units, locks, durable
files, shared memory, open files, SQL, logs.

The test for belonging here: could it be taken out as a library of its own? If it must know a target or a manifest, it
lives higher up.

    clock, localtime, backoff       what time it is, here and in the machine's zone; how long to wait before trying again
    tasks, signs, flow              tasks that must not end, or stand still; a line of stages between them
    budget, rate, turns             bytes in flight, bytes a second, and whose turn it is
    durable, clone, pread, lock     files: written for good, copied by the file system, read by descriptor; one process at a time
    arena, child, descriptors       memory shared with another process, such a process, and how many files it may open
    mortal, interpreter             somebody else's program, which ends with us; the Python that runs us
    sql, http                       databases and providers, within bounds
    logs, log_lines, masking        what is said, as lines that no terminal obeys and that hold no secret
    notify                          telling systemd
    units, garbage                  sizes and durations as people write them; Python's collector
"""
