"""Floor 4: the owner's storage. Is it there (root), where bytes wait (staging), how they get their final name (landing).

All of that blocks, and is done at a desk (desk): by threads of ours (hands), or by a helper process (apart). The side
of the event loop is `posix`, and `sink` for bytes; what goes to a desk and comes back is told in `plain`.

What must not be here: which name a file gets (rules.placement), what is remembered (store), where bytes come from. Promise 2
lives here: nothing at home is ever overwritten or deleted, but by the two exceptions named there.
"""
