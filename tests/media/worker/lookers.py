"""What workers of tests do with a file: the toy format, and each of the ways in which reading one can end."""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence

from forged.media import memory
from forged.media.base import Found, Opened, Wanted
from forged.model.media import Generation, MediaInfo, MediaKind, RawBlock


def crash() -> None:
    ctypes.string_at(0)


def hang() -> None:
    time.sleep(3600)


def spin() -> None:
    while True:
        pass


def crawl() -> None:
    """As on a machine that has little time for it."""
    end_s = time.monotonic() + 3
    while time.monotonic() < end_s:
        began_s = time.process_time()
        while time.process_time() < began_s + 0.01:
            pass
        time.sleep(0.04)


def pause() -> None:
    time.sleep(1)


def bloat() -> None:
    """Beyond RLIMIT_AS; C libraries do not get a MemoryError but NULL, and many do not look."""
    held = []
    try:
        while True:
            held.append(mmap.mmap(-1, 64 << 20))
    except OSError:
        held.clear()
        os.abort()


def rubbish() -> None:
    """Takes over the socket of the answers, as code of a hostile file would."""
    for fd in range(3, 64):
        try:
            os.write(fd, b"\xff" * 64)
        except OSError:
            continue


def flood() -> None:
    """A length that nobody would wait for."""
    for fd in range(3, 64):
        try:
            os.write(fd, b"\x7f\xff\xff\xff" + bytes(1 << 20))
        except OSError:
            continue


def leave() -> None:
    os._exit(7)


def stop() -> None:
    signal.raise_signal(signal.SIGSTOP)


def print_() -> None:
    """What a library prints is no answer."""
    os.write(1, b"warning: hostile words \x1b[31m\n" * 100)


DEEDS: dict[bytes, Callable[[], None]] = {
    **{
        b"crash": crash,
        b"hang": hang,
        b"spin": spin,
        b"crawl": crawl,
        b"pause": pause,
        b"bloat": bloat,
        b"rubbish": rubbish,
        b"flood": flood,
    },
    **{b"leave": leave, b"stop": stop, b"print": print_},
}


def look(file: Opened, companions: Sequence[Opened], wanted: Wanted) -> Found:
    """A deed by its name, else as the toy. `picture …`: deadly only where a picture is wanted."""
    text = os.pread(file.fd, 64, 0)
    word, _, rest = text.partition(b" ")
    if word == b"picture" and wanted.thumbnail:
        DEEDS[rest]()
    elif text in DEEDS:
        DEEDS[text]()
    elif word == b"large":
        return Found(MediaInfo(MediaKind.IMAGE, "toy", raw=(RawBlock("toy/text", "x" * int(rest)),)))
    elif word == b"number":
        return Found(MediaInfo(MediaKind.IMAGE, "toy", generation=Generation("toy", steps=1 << 64)))
    elif word == b"surrogate":
        return Found(MediaInfo(MediaKind.IMAGE, "toy", raw=(RawBlock("toy/text", "\ud800"),)))
    elif word == b"pid":
        return Found(MediaInfo(MediaKind.IMAGE, "toy", raw=(RawBlock("toy/pid", str(os.getpid())),)))
    return memory.look(file, companions, wanted)


def attempt(file: Opened, companions: Sequence[Opened], wanted: Wanted) -> Found:
    """Tries what a file names, and says what came of it."""
    try:
        came = str(eval(os.pread(file.fd, file.size_bytes, 0), {"os": os, "socket": socket, "subprocess": subprocess, "sys": sys}))
    except (OSError, MemoryError) as e:
        came = type(e).__name__
    return Found(MediaInfo(MediaKind.OTHER, "", raw=(RawBlock("toy/came", came),)))


def unready(file: Opened, companions: Sequence[Opened], wanted: Wanted) -> Found:
    raise AssertionError("nobody asks")
