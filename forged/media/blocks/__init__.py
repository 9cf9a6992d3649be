"""What a file says of itself: from its bytes to a `MediaInfo` without generation. Nothing is decoded but texts.

    table      `read`, the one way in: which container it is, by content and never by name, and who reads it
    findings   what is gathered from one file, within bounds
    text       from bytes to texts
    inflate    zlib and gzip within bounds
    stealth    a text in the lowest bits of decoded pixels
    boxes      of ISO base media and JPEG XL
    exif       IFDs of TIFF, which EXIF is; TIFF itself
    iptc       captions and keywords in a JPEG
    png jpeg webp gif heif jxl bmp svg glb wav safetensors     one container each: `read(reader, findings)`
    streams    video and sound, through PyAV, which is loaded when the first such file comes

Bytes are those of a hostile source: every read, every loop and every inflated byte is counted. What must not be here: what the
texts mean (that is `media.generation`), and whether the file is whole (`media.completeness`).
"""
