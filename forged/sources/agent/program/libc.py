"""The C library, for the few system calls that Python does not offer."""

import os
from typing import Optional

try:
    import ctypes
except ImportError:  # some minimal builds of Python leave it out
    LIBC: Optional["ctypes.CDLL"] = None
else:
    LIBC = ctypes.CDLL(None, use_errno=True)


def last_error() -> OSError:
    """Why the last call in this thread failed."""
    code = ctypes.get_errno()
    return OSError(code, os.strerror(code))
