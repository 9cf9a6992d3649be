"""Floor 6: life. Start, tasks, timetable, reload, methods, stop; `app` is the only place that picks implementations.

    main, house, reload          start and stop as one story; the configuration read again
    fleet, runner                all targets, and the life of one; `work` is what can be asked of it
    discoveries, discovered      boxes that come and go; `instance` is the one behind a target
    alarms, bell, couriers       what somebody has to hear at once, told once, and brought to the ingest handlers
    schedule, watching           when a target is due, and what is noticed in between
    pool, limits                 bytes in flight and bandwidth, shared; limits that people set meanwhile
    standing, conditions         how a target stands, and what is wrong with it; `progress`, `jobbook` and `gauges` tell the rest
    methods_*, answers, adhoc    what the control socket can be asked; a sync of a target that is not configured
    probe                        a box that is no target yet

What must not be here: what a round does, step by step (sync), and whether something may be done (rules).
"""
