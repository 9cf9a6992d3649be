"""Floor 4: the inside of files. Which kind is it, is it whole, what made it, what does it show.

Everything here reads bytes of a hostile source: bounded reads, capped steps, no trust in a length field. What must not be
here: where a file comes from or goes to.
"""
