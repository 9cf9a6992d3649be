"""The roof: the commands `forged` and `forgectl` and how they draw. Nothing is decided here.

    forged, forgectl, commands      the two command lines, and what they have alike
    run, once, check, probe, demo   the commands of `forged`; `handed` is `once` beside a daemon, `connecting` is `check --connect`
    ctl                             the commands of `forgectl`
    telling, results, probed        lines for people; what a sync did, as lines and as a document; what a probe found, as one
    bars, lines, logbook            progress on a terminal, and where nobody watches; the log files of `once`
    running, places                 one command's coroutine, and where its user is
    manpages, manwords, roff        man pages

What must not be here: a second way to do what the daemon does.
"""
