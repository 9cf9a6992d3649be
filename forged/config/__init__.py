"""Floor 3: what the owner asked for. TOML text becomes validated, frozen policies of floor 1; every mistake is told at once.

What must not be here: anything that acts on the configuration, and any state but "the current one".
"""
