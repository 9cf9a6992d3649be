"""Floor 4: where media is made. One contract (base), one body per kind of access: SSH through the agent, SFTP, Docker, local,
and the memory twin for tests.

What must not be here: decisions (which files, when, whether to remove: rules), paths at home, the state database. Everything
that comes from a source is hostile until it has been parsed strictly and bounded.
"""
