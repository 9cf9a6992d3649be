"""What made a file: raw blocks in, a `Generation` out. One module a generator; pure functions, no input and output.

    table                    which parsers there are, in which order, and whose word counts
    blocks, loose, values    blocks by name, JSON within bounds, and what a value means as a field
    draft, tags              a `Generation` in the making; the words of its prompt
    a1111, infotext          A1111 and its family, and the text that all of them write
    dialects, networks       all that write one flat JSON object, and how lists name LoRAs
    comfy fooocus invokeai swarmui novelai drawthings easydiffusion    one generator each
    envelope                 what converters make of a PNG's texts in other containers

What must not be here: files and containers (`blocks` reads them), and any value that no raw block holds.
"""
