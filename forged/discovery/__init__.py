"""Floor 4: which boxes exist now, as their providers say it: vast.ai, RunPod, or a program of the owner's.

    base                      the contract
    vastai, runpod, command   the bodies; `program` runs what a command names, `memory` is the toy twin
    asking, keys, reading     how an API is asked, with which key, and which boxes its answer shows
    trying                    whether one works, for people

What must not be here: targets and their lives (daemon makes targets of boxes), and what follows from an answer (rules).
"""
