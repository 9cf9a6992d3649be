"""What made a file: raw blocks in, a `Generation` out. One module a generator; pure functions, no input and output.

What must not be here: files and containers (`blocks` reads them), and any value that no raw block holds.
"""
