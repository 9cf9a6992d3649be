"""Floor 5: the work, step by step: scan > sift > adopt > transfer > land > remember, and cleanup.

`cycle` is the only module that knows the order; the steps do not import each other, but that adopt has remembered at once what
needs no transfer. A step takes the proof of the one before.
Beside the round stand questions about the same three (source, manifest, home): `preview`, `verify` and `homecheck`. What all of
them share: `doors`, `looks` (what a target keeps in mind between rounds), and `home`. Below `scan` lie `listing` (what the source
shows, in order, counted and bounded) and `known` (which parts of it need not be shown again); `underway` keeps rounds and notices
off each other's files, `empty` brings what has no bytes, `counted` tells of bytes that arrive, `tally` counts. What has landed is
looked into beside the rounds: `enrichment`, in the order of `enrich`, with a `sidecar` for each. `publish` says what happened as
events, which are put down together with what they tell of; `handed` asks which of them a required handler has not taken.
What must not be here: protocols and databases (floor 4 speaks those), and life (when to run: daemon).
"""
