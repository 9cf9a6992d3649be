"""The agent: `program` runs at the source from memory (one stdlib-only file), `wire` is what both ends say to each other,
`client` is our end. What must not be here: how the channel came to be (ssh, docker and local bring one).
"""
