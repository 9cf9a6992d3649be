"""What is looked for in the catalog, and what is found."""

from __future__ import annotations

from dataclasses import dataclass

from forged.model.media import MediaKind


@dataclass(frozen=True, slots=True)
class Search:
    """All of it has to hold; None and empty: it does not matter."""

    query: str = ""
    """Words of the prompt (ingest/catalog/query)."""
    model: str | None = None
    """A part of the name of a model that took part, in any case of letters; or the beginning of its hash."""
    seed: str | None = None
    """Of any pass."""
    target: str | None = None
    kind: MediaKind | None = None
    since_ns: int | None = None
    """Landed then or later."""


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A file at home, as the catalog knows it. Paths as they are."""

    id: int
    """Descends from the newest to the oldest."""
    target: str
    path: bytes
    home: bytes
    size_bytes: int
    sha256: str
    mtime_ns: int
    landed_at_ns: int
    kind: MediaKind | None
    width: int | None
    height: int | None
    generator: str | None
    model: str | None
    seed: str | None
    prompt: str | None
    """The beginning of it, where it is very long."""
