"""Landlock: this process gives up the file system, but for reading what it is made of, and TCP, and signals to others.

Numbers: linux/landlock.h; which kernel knows what: landlock(7), Documentation/userspace-api/landlock.rst (ABI 1 is Linux 5.13, 7 is
6.15). A kernel without it, or where it is switched off, says so, and nothing else changes.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
"""System calls; the same on every architecture, as all since 424."""

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3

_FS_BITS = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many kinds of access to files a kernel knows, from that ABI on. All are given up, and execution with them."""

_NET_SINCE, _NET = 4, 0b11
"""Binding and connecting TCP sockets."""

_SCOPE_SINCE, _SCOPE = 6, 0b11
"""Abstract Unix sockets and signals of others."""


class _Ruleset(ctypes.Structure):
    _fields_ = (("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _Beneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("fd", ctypes.c_int32))


def restrict(readable: Iterable[str]) -> int:
    """Only files and folders below these may be opened from now on, and only for reading. For good, and for this thread and those
    that it starts. Returns the ABI that was used, 0 where the kernel has none. Needs no_new_privs. Raises OSError.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    abi: int = libc.syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION)
    if abi <= 0:
        return 0
    ruleset = _ruleset(libc, abi)
    try:
        for path in readable:
            _allow(libc, ruleset, path)
        _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0))
    finally:
        os.close(ruleset)
    return abi


def _ruleset(libc: ctypes.CDLL, abi: int) -> int:
    bits = _FS_BITS[max(known for known in _FS_BITS if known <= abi)]
    given_up = _Ruleset((1 << bits) - 1, _NET if abi >= _NET_SINCE else 0, _SCOPE if abi >= _SCOPE_SINCE else 0)
    words = 1 if abi < _NET_SINCE else 2 if abi < _SCOPE_SINCE else 3  # an older kernel refuses a longer structure
    return _checked(libc.syscall(_CREATE_RULESET, ctypes.byref(given_up), words * 8, 0))


def _allow(libc: ctypes.CDLL, ruleset: int, path: str) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:  # what is not there needs no leave
        return
    try:
        allowed = _READ_FILE | _READ_DIR if os.path.isdir(path) else _READ_FILE
        _checked(libc.syscall(_ADD_RULE, ruleset, _RULE_PATH_BENEATH, ctypes.byref(_Beneath(allowed, fd)), 0))
    finally:
        os.close(fd)


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"landlock: {os.strerror(number)}")
    return result
