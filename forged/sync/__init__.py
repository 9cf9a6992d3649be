"""Floor 5: the work, step by step: scan > transfer > land > enrich > publish, and cleanup.

`cycle` is the only module that knows the order; the steps do not import each other. A step takes the proof of the one before.
What must not be here: protocols and databases (floor 4 speaks those), and life (when to run: daemon).
"""
