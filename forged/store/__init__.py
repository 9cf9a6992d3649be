"""Floor 4: the memory. Manifest, pins, holds, pauses, jobs, destinations and the outbox, in SQLite (default) or PostgreSQL.

`sound` says whether a state file can be believed; `sqlite` opens one, and begins a new one in the place of a damaged or lost one.
`postgres` does the same with a schema in PostgreSQL, which `postgres_link` reaches; `owner` says whose it is, one forged at a time.

What must not be here: decisions. The store answers what was, exactly as it was told; a bulk of rows goes in one transaction
or not at all.
"""
