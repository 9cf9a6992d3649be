"""The agent: runs at the source, from memory, and does what `client` asks over its standard input and output.

The modules here (in the order of `launch.PARTS`) are streamed as one program by `launch`, so they may import only each
other and the standard library, in the syntax and with the modules of Python 3.6: rented boxes have what they have. They write
nothing to disk, follow no symbolic link below the root, and end when their standard input ends. `wire` is the other half of
what is said here; a test holds both together.

    serve, line              commands in, answers out; what both ends say
    tree, listing, blocks    files and folders, through no link; the walk over them, and what it tells
    reading, removal         bytes and hashes; removing under guard
    watching, news           what happens, and what of it is still to be told; by `inotify`, reached through `libc`
"""
