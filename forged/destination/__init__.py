"""Floor 4: the owner's storage. Is it there (root), where bytes wait (staging), how they get their final name (landing).

All of that blocks, and is done at a desk (desk): by threads of ours (hands), or by a helper process (apart). The side
of the event loop is `posix`, and `sink` for bytes; what goes to a desk and comes back is told in `plain`.

    base, memory              the contract, and its toy twin
    root, mounts, trouble     whether it is there, the right one, and able to take more; what the system's errors mean
    place, stay               its open folders, and that they are still the right ones
    staging, pouring, fresh   bytes on their way in; `ahead` knows which came early, `hashing` reads those that lie there
    landing, carrying         the final name, without overwriting, and the two slow ways to it
    swaps, claims             in the place of another file only while that is what was read; notes for after a crash
    sidecars, linking         small files beside, and equal files that share their bytes
    guarded                   hands that change nothing while another forged may be at work in the same place
    regular                   looking at what lies there, through no link

What must not be here: which name a file gets (rules.placement), what is remembered (store), where bytes come from. Promise 2
lives here: nothing at home is ever overwritten or deleted, but for files that are `mutable` and forged's own sidecars.
"""
