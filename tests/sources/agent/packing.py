"""Blocks of a listing as an agent would pack them, and as none would."""

from __future__ import annotations

from collections.abc import Sequence

from forged.sources.agent.program.line import BLOCK, FACTS, FILES, PROBLEMS, RECORD, RUN

GOOD_FACTS = FACTS.pack(1000, 1, 2, 3)


def planes(facts: Sequence[bytes]) -> bytes:
    joined = b"".join(facts)
    return b"".join(joined[byte :: FACTS.size] for byte in range(FACTS.size))


def files_block(*folders: tuple[bytes, Sequence[bytes]], facts: bytes = GOOD_FACTS) -> bytes:
    """Files in their folders, all of which look alike. Nothing is put in order or made right."""
    runs = b"".join(RUN.pack(len(prefix), len(names)) + prefix for prefix, names in folders)
    names = [name for _, names in folders for name in names]
    return BLOCK.pack(FILES, len(folders)) + runs + b"".join(name + b"\0" for name in names) + planes([facts] * len(names))


def problems_block(path: bytes, kind: int = 3, message: bytes = b"") -> bytes:
    return BLOCK.pack(PROBLEMS, 1) + RECORD.pack(kind, len(path), len(message)) + path + message
