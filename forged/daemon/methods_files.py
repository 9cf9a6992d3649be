"""`cleanup.run` and `manifest.*`: files by name."""

from __future__ import annotations

import base64

from forged.control.peers import Level
from forged.control.registry import Registry
from forged.daemon import answers, cursors
from forged.daemon.fleet import Fleet
from forged.model import rpc
from forged.model.errors import ForgedError
from forged.model.manifest import ManifestName
from forged.model.paths import SourcePath, shown, source_path
from forged.store.base import Store
from forged.sync.preview import PlannedFile, preview

PAGE_MOST = 500
"""Rows of one page; fewer, where long names would take an answer above 1 MiB."""


class FileMethods:
    """The methods of this group; `register` makes them callable."""

    def __init__(self, fleet: Fleet, store: Store) -> None:
        self._fleet = fleet
        self._store = store

    def register(self, registry: Registry) -> None:
        registry.add("cleanup.run", self.cleanup, level=Level.STEER, finishes=True)
        registry.add("manifest.list", self.list_files, level=Level.LOOK)
        registry.add("manifest.changes", self.changes, level=Level.LOOK)
        registry.add("manifest.forget", self.forget, level=Level.STEER, finishes=True)
        registry.add("manifest.reset", self.reset, level=Level.STEER, finishes=True)

    async def cleanup(self, target: str, dry_run: bool = False) -> rpc.Cleanup:
        """Removes at the source what is old enough and proven safe at home; names each file that stays, and why."""
        return answers.cleanup(await self._fleet.find(target).work.clean_up(dry_run=dry_run, urgent=True))

    async def list_files(self, target: str, limit: int = 200, cursor: str | None = None) -> rpc.ManifestPage:
        """What is remembered of a target's files, ascending by path."""
        name = self._name(target)
        most = max(1, min(limit, PAGE_MOST))
        after = cursors.path(cursor) if cursor else None
        rows = await self._store.manifest.between(name, after, None, most)
        page = answers.fitting([answers.manifest_file(row) for row in rows])
        files, size_bytes = await self._store.manifest.count(name)
        more = len(rows) == most or len(page) < len(rows)
        return {
            "success": True,
            "files": page,
            "total_files": files,
            "total_bytes": size_bytes,
            "next_cursor": cursors.encoded(rows[len(page) - 1].path) if more else None,
        }

    async def changes(self, target: str, limit: int = 200, cursor: str | None = None) -> rpc.Changes:
        """The plan that a sync would carry out now."""
        member = self._fleet.find(target)
        after = cursors.decoded(cursor) if cursor else b""
        seen = await member.work.in_turn("preview", lambda: preview(member.runner.doors))
        if seen.error is not None:
            raise seen.error
        start = next((i for i, one in enumerate(seen.files) if one.entry.path > after), len(seen.files))
        most = max(1, min(limit, PAGE_MOST))
        planned = [_planned(one) for one in seen.files[start : start + most]]
        rows = answers.fitting(planned)
        end = start + len(rows)
        return {
            "success": True,
            "changes": rows,
            "listed_files": seen.plan.listed,
            "total_files": seen.total_files,
            "total_bytes": seen.total_bytes,
            "waiting": seen.waiting,
            "vanished": seen.vanished,
            "next_cursor": cursors.encoded(seen.files[end - 1].entry.path) if end < len(seen.files) else None,
        }

    async def forget(self, target: str, paths: list[str] | None = None, paths_b64: list[str] | None = None) -> rpc.Forgotten:
        """Forgets files, or folders with all that is below them: the next sync sees them as new, and adopts what is at home."""
        name = self._name(target)
        asked = [path.encode("utf-8", "surrogateescape") for path in paths or []] + [_bytes(path) for path in paths_b64 or []]
        if not asked:
            raise ForgedError("no path was named", hint="to forget everything: manifest.reset")
        files = 0
        for raw in asked:
            files += await self._store.manifest.forget(name, await self._below(name, source_path(raw.strip(b"/"))))
        if not files:
            return {"success": False, "message": "nothing is remembered by that name", "files": 0}
        return {"success": True, "message": f"{files:,} {'file is' if files == 1 else 'files are'} forgotten", "files": files}

    async def reset(self, target: str) -> rpc.Forgotten:
        """Forgets everything of a target. Files that are at home are adopted by the next sync instead of copied again."""
        member = self._fleet.find(target)
        files = await self._store.manifest.forget(member.standing.target.manifest)
        member.work.look()
        return {"success": True, "message": f"{files} files are forgotten; equal ones at home are adopted again", "files": files}

    async def _below(self, name: ManifestName, path: SourcePath) -> list[SourcePath]:
        """The path itself, and all that is remembered below it."""
        found: list[SourcePath] = [path]
        after, end = SourcePath(path + b"/"), SourcePath(path + b"0")  # "0" follows "/" in the order of bytes
        while rows := await self._store.manifest.between(name, after, end, PAGE_MOST):
            found += [row.path for row in rows if row.path.startswith(path + b"/")]
            after = rows[-1].path
        return found

    def _name(self, target: str) -> ManifestName:
        return self._fleet.find(target).standing.target.manifest


def _planned(one: PlannedFile) -> rpc.PlannedFile:
    return {**answers.path_of(one.entry.path), "size": one.entry.stat.size_bytes, "change": one.kind.value}


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as e:  # binascii.Error is one; a text that is not ASCII is another
        raise ForgedError(f"{shown(text.encode()[:40])!r} is no base64", hint="take it from an answer of this daemon") from e
