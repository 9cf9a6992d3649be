"""Floor 5: the work, step by step: scan > sift > adopt > transfer > land > remember, and cleanup.

`cycle` is the only module that knows the order; the steps do not import each other, but that adopt has remembered at once what
needs no transfer. A step takes the proof of the one before.
Beside the round stand questions about the same three (source, manifest, home): `preview`, `verify` and `homecheck`. What all of
them share: `doors`, `looks` (what a target keeps in mind between rounds), and `home`. Below `scan` lie `listing` (what the source
shows, in order, counted and bounded) and `known` (which parts of it need not be shown again); `underway` keeps rounds and notices
off each other's files. What has landed is looked into beside the rounds: `enrichment`, in the order of `enrich`.
What must not be here: protocols and databases (floor 4 speaks those), and life (when to run: daemon).
"""
