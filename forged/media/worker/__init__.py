"""Processes that can be killed, which look into files: the body of `media.base.Examiner`.

    examiner   who waits, and for which worker
    slot       one worker after the other in one place: order, deadlines, what becomes of a file whose worker dies
    process    one worker from the daemon's side: start, sockets, end
    letters    what goes over the sockets
    limits     what a file may cost
    main       the worker itself
    confine    what it gives up first: limits, landlock, seccomp
    looking    what it does with a file

The daemon passes open descriptors, never names. A worker is killed with the daemon (prctl PR_SET_PDEATHSIG), and ends when
the daemon closes its socket.
"""
