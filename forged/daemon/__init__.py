"""Floor 6: life. Start, tasks, timetable, reload, methods, stop; `app` is the only place that picks implementations.

    main, house, reload          start and stop as one story; the parts put together; the configuration read again (SIGHUP)
    app, bodies                  memory, doors and pool, with a daemon around them or without; which body each door has
    fleet, runner                all targets, and the life of one; `work` is what can be asked of it
    discoveries, discovered      boxes that come and go; `instance` is the one behind a target
    alarms, bell                 what somebody has to hear at once, told once
    couriers, replays            what brings events to the ingest handlers, and what is home to one of them again
    enriching                    what has landed, looked into for as long as the daemon lives
    schedule, watching           when a target is due, and what is noticed in between
    pool, limits                 bytes in flight and bandwidth, shared; limits that people set meanwhile
    standing, conditions         how a target stands, and what is wrong with it; `progress`, `jobbook` and `gauges` tell the rest
    freespace                    what is free at home, asked each minute
    diary, watchdog              what the log says of the work; what systemd hears of it
    methods_*, *answers          what the control socket can be asked, and nouns as answers; `cursors`: where a page begins
    adhoc, adhoc_work, wanted    a sync of a target that is not configured; what a run without a daemon is about
    probe, finding               a box that is no target yet

What must not be here: what a round does, step by step (sync), and whether something may be done (rules).
"""
