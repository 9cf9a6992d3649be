"""Floor 4: which boxes exist now, as their providers say it: vast.ai, RunPod, or a program of the owner's.

What must not be here: targets and their lives (daemon makes targets of boxes), and what follows from an answer (rules).
"""
