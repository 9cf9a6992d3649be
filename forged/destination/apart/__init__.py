"""A process of its own that works at the desks: hashing, writing and naming files then take no time of the event loop's.

    hands     what a destination asks, and how a call gets across
    process   one helper process for all destinations; whoever needs it next starts it again when it has died
    letters   what goes over the sockets
    main      the helper itself: one thread for each socket

It never works without its owner: it is killed with it (prctl PR_SET_PDEATHSIG), and ends when the owner's first
socket closes. A daemon that stops in order closes it, and kills a helper that does not end then (`process.Helper.aclose`).
"""
