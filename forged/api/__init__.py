"""Floor 7: forged from Python, with the names of the seed document; a thin layer over the same machinery. Nothing is here yet."""
