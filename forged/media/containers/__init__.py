"""One module per container family: how its files begin, and whether the end that it announces is there.

Each has `claims(head)`, which knows the family by its first bytes and never by a name, and `inspect(reader)`. What must not be
here: decoding, and judging anything but the end. A wrong checksum or garbage in the middle is not our business.
"""
