"""The embedded catalog: what came home, in one SQLite file, and what finds it again.

What its tables and views hold is said in migrations/. The views `forged_files`, `forged_generations`, `forged_models` and
`forged_loras` are an interface: columns are only ever added to them. The tables below them are ours.
"""
