"""Floor 6: life. Start, tasks, timetable, reload, methods, stop; `app` is the only place that picks implementations."""
