"""The embedded catalog: what came home, in one SQLite file, and what finds it again.

    handler, tables        events become rows
    document, query        what the full-text index holds of a file, and what a person writes to find it
    reading                a search
    file                   the file itself: made, brought up to date, set aside when damaged

What its tables and views hold is said in migrations/. The views `forged_files`, `forged_generations`, `forged_models` and
`forged_loras` are an interface: columns are only ever added to them. The tables below them are ours.
"""
