"""What workers do with a file: all readers and parsers of this room, put together. Imported by workers alone (by its name)."""

from __future__ import annotations

from collections.abc import Sequence

from forged.media.base import Found, Opened, Wanted
from forged.media.blocks.stealth import stealth_text
from forged.media.blocks.table import read
from forged.media.generation.table import generation_of
from forged.media.worker.looking import Look, Parts

LOOKER = "forged.media.looker:look"

_PARTS = Parts(read, generation_of, stealth_text)


def look(file: Opened, companions: Sequence[Opened], wanted: Wanted) -> Found:
    """Raises nothing for what the file holds."""
    return Look(_PARTS, file, companions, wanted).found()
