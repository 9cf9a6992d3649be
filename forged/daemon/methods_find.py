"""`media.find`: what came home, by what is in it."""

from __future__ import annotations

import base64
from datetime import datetime

from forged.control.errors import InvalidParams
from forged.control.peers import Level
from forged.control.registry import Registry
from forged.daemon import answers
from forged.daemon.cursors import number
from forged.daemon.media_answers import clipped
from forged.ingest.catalog.reading import Finder
from forged.model import rpc
from forged.model.finding import FoundFile, Search
from forged.model.media import MediaKind
from forged.model.paths import b64_if_needed, shown

PAGE_FILES = 1_000
"""In one page; fewer, where their prompts are long."""

PAGE_BYTES = 900_000
"""An answer may have 1 MiB."""

TEXT_BYTES = 100_000
"""Of one prompt, and of what a hostile file calls its model: the largest row fits into a page."""


class FindMethods:
    """The method; `register` makes it callable."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    def register(self, registry: Registry) -> None:
        registry.add("media.find", self.find, level=Level.LOOK)

    async def find(
        self,
        query: str = "",
        model: str | None = None,
        seed: str | None = None,
        since: str | None = None,
        target: str | None = None,
        kind: str | None = None,
        limit: int = 100,
        cursor: str | None = None,
    ) -> rpc.FoundPage:
        """Files at home, newest first: by words of their prompts, by model, seed, target, kind, and when they landed."""
        search = Search(query, model, seed, target, _kind(kind), _since_ns(since))
        most = max(1, min(limit, PAGE_FILES))
        found = await self._finder.find(search, most, _id(cursor))
        page = answers.fitting([_file(one) for one in found], PAGE_BYTES)
        more = len(page) < len(found) or len(found) == most
        return {"success": True, "files": page, "next_cursor": str(found[len(page) - 1].id) if more else None}


def _file(one: FoundFile) -> rpc.FoundFile:
    row: rpc.FoundFile = {
        "path": shown(one.path),
        "target": one.target,
        "home": shown(one.home),
        "size": one.size_bytes,
        "sha256": one.sha256,
        "mtime": answers.time_text(one.mtime_ns),
        "landed_at": answers.time_text(one.landed_at_ns),
        "kind": one.kind.value if one.kind is not None else None,
        "width": one.width,
        "height": one.height,
        "generator": clipped(one.generator, TEXT_BYTES),
        "model": clipped(one.model, TEXT_BYTES),
        "seed": clipped(one.seed, TEXT_BYTES),
        "prompt": clipped(one.prompt, TEXT_BYTES),
    }
    if (path_b64 := b64_if_needed(one.path)) is not None:
        row["path_b64"] = path_b64
    if row["home"].encode() != one.home:
        row["home_b64"] = base64.b64encode(one.home).decode("ascii")
    return row


def _kind(word: str | None) -> MediaKind | None:
    """Raises InvalidParams."""
    try:
        return None if word is None else MediaKind(word)
    except ValueError as e:
        raise InvalidParams(hint=f"`kind` is one of {', '.join(kind.value for kind in MediaKind)}") from e


def _since_ns(time: str | None) -> int | None:
    """Raises InvalidParams."""
    if time is None:
        return None
    try:
        at = datetime.fromisoformat(time)
        if at.tzinfo is None:
            raise ValueError("no zone")
        return max(round(at.timestamp() * 1e9), 0)
    except (ValueError, OverflowError) as e:
        raise InvalidParams(hint="`since` is a time of RFC 3339 with its zone, such as 2026-11-23T07:00:00Z") from e


def _id(cursor: str | None) -> int | None:
    """Raises InvalidParams."""
    if cursor is None:
        return None
    return number(cursor)
