"""`media.*`: what is known of files' insides."""

from __future__ import annotations

import base64
import os
from collections.abc import Sequence
from dataclasses import dataclass

from forged.control.errors import InvalidParams
from forged.control.peers import Level
from forged.control.registry import Registry
from forged.daemon import answers, cursors, media_answers
from forged.daemon.enriching import Enriching
from forged.daemon.fleet import Fleet, Member
from forged.destination.sidecars import thumbnail_name
from forged.model import rpc
from forged.model.errors import BadPath, ForgedError
from forged.model.manifest import ManifestName, ManifestRow
from forged.model.media import Copy, Equals, Known
from forged.model.paths import HomePath, b64_if_needed, home_path, shown, source_path
from forged.model.target import DuplicatesMode
from forged.store.base import Store

PAGE_GROUPS = 200
"""Groups of equal files in one page; fewer, where their names are long."""

MOST_COPIES = 100
"""Files of one group that are named. More are only counted by whoever removes them."""


class UnknownFile(ForgedError):
    """No file of that name is known."""

    default_hint = "name it as it lies at home, or as `forgectl manifest show TARGET` lists it"


MOST_ALIKE = 20

LIST_BYTES = 60_000
"""For the equal files and for those alike, beside all that is known of one. A path of a hostile box takes 20,000 to be told."""

SHARING = (DuplicatesMode.REFLINK, DuplicatesMode.HARDLINK)


@dataclass(frozen=True, slots=True)
class _Found:
    """A file that was asked for."""

    member: Member
    row: ManifestRow

    @property
    def manifest(self) -> ManifestName:
        return self.member.standing.target.manifest

    @property
    def dest(self) -> str:
        return str(self.member.standing.target.home.dest)


class MediaMethods:
    """The methods of this group; `register` makes them callable."""

    def __init__(self, fleet: Fleet, enriching: Enriching, store: Store) -> None:
        self._fleet, self._enriching, self._store = fleet, enriching, store

    def register(self, registry: Registry) -> None:
        registry.add("media.show", self.show, level=Level.LOOK)
        registry.add("media.rerun", self.rerun, level=Level.STEER, finishes=True)
        registry.add("media.duplicates", self.duplicates, level=Level.LOOK)

    async def show(
        self, path: str | None = None, path_b64: str | None = None, target: str | None = None, raw: bool = False
    ) -> rpc.MediaShown:
        """All that is known of one file: by where it lies at home, below its destination, or by its name at the source."""
        found = await self._find(_bytes(path, path_b64), target)
        known = await self._store.media.info(found.manifest, found.row.path)
        waiting = known is None and found.manifest in await self._store.media.count_waiting()
        destination = found.member.runner.doors.destination
        home = os.path.join(os.fsencode(found.dest), found.row.home)
        answer: rpc.MediaShown = {
            "success": True,
            "target": found.member.name,
            "file": answers.manifest_file(found.row),
            "home": shown(home),
            "waiting": waiting,
            "examined_at": answers.time_text(known.examined_at_ns) if known is not None else None,
            "media": media_answers.media(known.info, raw=raw) if known is not None else None,
            "sidecar": shown(home + b".xmp") if isinstance(await destination.sidecar(found.row.home), bytes) else None,
            "thumbnail": os.path.join(found.dest, thumbnail_name(found.row.sha256))
            if await destination.thumbnail(found.row.sha256)
            else None,
            "copies": await self._copies_of(found),
            "alike": await self._alike(found, known),
        }
        if (b64 := b64_if_needed(home)) is not None:
            answer["home_b64"] = b64
        return answer

    async def rerun(self, target: str | None = None) -> rpc.MediaRerun:
        """Looks again into everything that is home."""
        name = self._fleet.find(target).name if target is not None else None
        files = await self._enriching.rerun(name)
        return {
            "success": True,
            "files": files,
            "message": f"{files:,} {'file waits' if files == 1 else 'files wait'} to be looked into",
        }

    async def duplicates(self, target: str | None = None, limit: int = 100, cursor: str | None = None) -> rpc.DuplicatesPage:
        """Files at home that are equal, in groups; with `target` those that it has a part in."""
        names = {self._fleet.find(target).standing.target.manifest} if target is not None else set[ManifestName]()
        most, groups = max(1, min(limit, PAGE_GROUPS)), list[rpc.Duplicates]()
        equals = await self._store.copies.equals(cursors.decoded(cursor) if cursor else None, most)
        for one in equals:
            copies = await self._store.copies.copies(one.sha256, None, MOST_COPIES)
            if not names or names & {copy.manifest for copy in copies}:
                groups.append(self._group(one, copies))
        page = answers.fitting(groups)
        more = len(equals) == most or len(page) < len(groups)
        last = bytes.fromhex(page[-1]["sha256"]) if len(page) < len(groups) else equals[-1].sha256 if equals else b""
        return {"success": True, "groups": page, "next_cursor": cursors.encoded(last) if more else None}

    # --- finding ----------------------------------------------------------------------------------------------------------

    async def _find(self, path: bytes, target: str | None) -> _Found:
        """What nobody has looked into is found by its name at the source, and by where it lies if that is the same name. Raises
        UnknownFile."""
        members = [self._fleet.find(target)] if target is not None else self._fleet.members
        for member in members:
            for home in _below(os.fsencode(member.standing.target.home.dest), path):
                for known in await self._store.media.of_home(member.standing.target.manifest, home):
                    row = await self._store.manifest.homes(known.manifest, known.path, known.sha256)
                    if row is not None:
                        return _Found(member, row)
        for member in members:
            for name in _below(os.fsencode(member.standing.target.home.dest), path):
                (row,) = await self._store.manifest.current(member.standing.target.manifest, [source_path(name)])
                if row is not None and (row.home == name or not path.startswith(b"/")):
                    return _Found(member, row)
        raise UnknownFile(f"no file is known as {shown(path)}")

    async def _copies_of(self, found: _Found) -> list[rpc.Copy]:
        copies = await self._store.copies.copies(found.row.sha256, None, MOST_COPIES)
        mine = (found.manifest, found.row.home)
        return answers.fitting([self._copy(copy) for copy in copies if (copy.manifest, copy.home) != mine], LIST_BYTES)

    async def _alike(self, found: _Found, known: Known | None) -> list[rpc.AlikeFile]:
        """Pictures that look the same, and are not the same file."""
        dhash = known.info.likeness.dhash if known is not None else None
        alike = await self._store.copies.alike(dhash, MOST_ALIKE) if dhash is not None else ()
        others = [one for one in alike if one.copy.sha256 != found.row.sha256]
        return answers.fitting([{**self._copy(one.copy), "bits": one.bits} for one in others], LIST_BYTES)

    def _group(self, equal: Equals, copies: Sequence[Copy]) -> rpc.Duplicates:
        ordered = sorted(copies, key=lambda copy: (copy.landed_at_ns, copy.home, copy.path))
        return {
            "sha256": equal.sha256.hex(),
            "files": answers.fitting([self._duplicate(copy, copy is ordered[0]) for copy in ordered]),
        }

    def _duplicate(self, copy: Copy, is_first: bool) -> rpc.DuplicateFile:
        member = self._member(copy.manifest)
        shares = member is not None and not is_first and member.standing.target.media.duplicates in SHARING
        at = answers.time_text(copy.landed_at_ns)
        return {**self._copy(copy), "size": copy.size_bytes, "landed_at": at, "shares": shares}

    def _copy(self, copy: Copy) -> rpc.Copy:
        member = self._member(copy.manifest)
        dest = os.fsencode(member.standing.target.home.dest) if member is not None else b""
        name = member.name if member is not None else copy.manifest
        return {**answers.path_of(copy.path), "target": name, "home": shown(os.path.join(dest, copy.home))}

    def _member(self, manifest: ManifestName) -> Member | None:
        return next((one for one in self._fleet.members if one.standing.target.manifest == manifest), None)


def _below(dest: bytes, path: bytes) -> list[HomePath]:
    """What a path may be called below a destination: an absolute one only if it lies there."""
    root = dest.rstrip(b"/") + b"/" if path.startswith(b"/") else b""
    try:
        return [home_path(path[len(root) :])] if path.startswith(root) else []
    except BadPath:  # nothing has such a name
        return []


def _bytes(path: str | None, path_b64: str | None) -> bytes:
    """Raises InvalidParams."""
    if (path is None) == (path_b64 is None):
        raise InvalidParams(hint="either `path` or `path_b64` is needed")
    if path is not None:
        return os.fsencode(path)
    try:
        return base64.b64decode(path_b64 or "", validate=True)
    except ValueError as e:
        raise InvalidParams(hint="this is no base64") from e
