"""What a picture or a film shows: thumbnails, and what finds the same picture in other bytes. Runs in a worker only.

    picture    what is wanted of a file, in order
    still      pictures, through Pillow: opened within limits, made small
    film       one frame of a film, through PyAV
    likeness   dHash, and the hash of the pixels
    words      what went wrong

Pixel limits hold before anything is decoded. Time and memory are bounded by the worker that this runs in.
"""
