"""What went wrong with a picture. Imports nothing, so that it can be known everywhere."""


class PictureError(Exception):
    """No picture can be made of this file; the text says why, and is a file's problem."""
