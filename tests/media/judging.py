"""Asks `inspect` about bytes: a real descriptor, no file."""

from __future__ import annotations

import os

from forged.media.completeness import inspect
from forged.model.transfer import Wholeness


class Memory:
    """Bytes behind a descriptor, to be judged as if they ended anywhere."""

    def __init__(self, data: bytes) -> None:
        self.fd = os.memfd_create("media")
        self.size_bytes = len(data)
        os.write(self.fd, data)

    def __enter__(self) -> Memory:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)

    def cut_at(self, size_bytes: int) -> Wholeness:
        return inspect(self.fd, size_bytes)


def verdict(data: bytes) -> Wholeness:
    with Memory(data) as memory:
        return memory.cut_at(memory.size_bytes)
