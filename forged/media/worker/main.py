"""The worker itself: started by `process`, with a socket for what is asked as standard input, and one for the answers as standard
output. One file after the other, until the daemon closes its end or is gone.
"""

from __future__ import annotations

import importlib
import os
import socket
from collections.abc import Callable, Sequence
from typing import TypeAlias

import msgspec

from forged.kit import child
from forged.media.base import Found, Opened, Wanted
from forged.media.worker.confine import allow_cpu, confined
from forged.media.worker.letters import MOST_COMPANIONS, MOST_REQUEST_BYTES, Answered, Asked, Opening, Ready, packed
from forged.model.media import MediaInfo

Looker: TypeAlias = Callable[[Opened, Sequence[Opened], Wanted], Found]
"""Looks into a file, blocking as long as it takes; it raises nothing for what a file holds."""


def main() -> None:
    child.begin()
    requests = socket.socket(fileno=0)
    answers = socket.socket(fileno=os.dup(1))
    os.dup2(2, 1)  # what a library prints is no answer
    opening = msgspec.msgpack.decode(requests.recv(MOST_REQUEST_BYTES), type=Opening)
    look = _looker(opening.looker)
    answers.sendall(packed(Ready(confined(opening.limits))))
    while True:
        letter, fds, _, _ = socket.recv_fds(requests, MOST_REQUEST_BYTES, 1 + MOST_COMPANIONS)
        if not letter:
            os._exit(0)
        try:
            answers.sendall(_answer(msgspec.msgpack.decode(letter, type=Asked), fds, look, opening))
        except ConnectionError:  # a daemon that was killed takes no leave
            os._exit(0)
        finally:
            for fd in fds:
                os.close(fd)


def _looker(name: str) -> Looker:
    module, _, function = name.partition(":")
    found: Looker = getattr(importlib.import_module(module), function)
    return found


def _answer(asked: Asked, fds: Sequence[int], look: Looker, opening: Opening) -> bytes:
    file, *companions = (Opened(named.name, fd, named.size_bytes) for named, fd in zip(asked.files, fds, strict=True))
    allow_cpu(opening.limits.cpu_s)
    return _bounded(asked.number, look(file, companions, asked.wanted), opening.limits.answer_bytes)


def _bounded(number: int, found: Found, most_bytes: int) -> bytes:
    """An answer that is too large, or that no text can carry, says so and leaves out the texts."""
    try:
        answer = packed(Answered(number, found))
        if len(answer) <= most_bytes:
            return answer
        why = f"what was read of it is too much: {len(answer)} bytes"
    except UnicodeEncodeError:
        why = "what was read of it is no text"
    except OverflowError:  # beyond 64 bits
        why = "what was read of it is no number that can be told"
    info = found.info
    bare = MediaInfo(info.kind, info.format, info.width, info.height, likeness=info.likeness, problems=(why,))
    return packed(Answered(number, Found(bare, found.thumbnail)))
