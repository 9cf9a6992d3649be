"""Floor 4: the inside of files. Which kind is it, is it whole, what made it, what does it show.

    completeness, containers    whether it is whole, by how its container ends
    base, worker                looking into it in a process that can be killed; `looker` is what that does, `memory` the toy twin
    blocks, generation          what it says of itself, and what that means: prompt, seed, model
    pictures                    thumbnails, and what finds the same picture in other bytes
    xmp                         sidecars

Everything here reads bytes of a hostile source: bounded reads, capped steps, no trust in a length field. What must not be
here: where a file comes from or goes to.
"""
