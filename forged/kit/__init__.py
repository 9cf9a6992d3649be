"""The ground: tools that know nothing of forged. Clock, tasks, flow, budgets, bandwidth, backoff, units, locks, durable
files, shared memory, open files, SQL, logs.

The test for belonging here: could it be taken out as a library of its own? If it must know a target or a manifest, it
lives higher up.
"""
