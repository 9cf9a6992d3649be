"""Sidecars through exiftool. All of exiftool lives in one thread and one private folder."""

from __future__ import annotations

import asyncio
import enum
import math
import os
import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

from forged.kit.clock import Clock
from forged.media.xmp.fields import METADATA_DATE, PROPERTIES, Property, as_in_xml, clean, wanted
from forged.media.xmp.merging import changes
from forged.media.xmp.reading import NotXmp, Packet, read
from forged.media.xmp.tool import Tool, ToolFailed
from forged.model.media import MediaInfo
from forged.model.sidecars import SidecarFacts, SidecarTrouble

DEADLINE_S = 30.0
"""For one sidecar, which takes 6 ms, and the first one after a start 160 (measured)."""

COMMANDS_EACH = 10_000
"""After so many a new process takes over: whatever a long life may pile up in Perl ends there."""

TRY_AGAIN_S = 60.0
"""After an exiftool was found too old or broken, and its file stays as it is: what it leans on may be mended meanwhile. A trial
costs 0.2 s (measured). One that comes back, or whose file is another one, is tried at the next look."""

IDLE_S = 60.0
"""Not needed for so long, exiftool is ended: it takes 44 MB, and 0.2 s to begin anew (measured)."""

OLDEST = (12, 38)
"""CVE-2022-23935 is fixed there (a file name that ends in a pipe is run). We give it no foreign names, but the next one may."""

ADVISED = (13, 54)
"""CVE-2026-7580 is fixed there (reading GM data out of films). exiftool reads nothing but sidecars here, so it is only told."""

MOST_BYTES = 8 << 20
"""Of a sidecar that is given to exiftool, and of one that it has made: else the next visit could not read it."""

MOST_TEXT_CHARS = 2 << 20
"""Of all values together; a prompt stands there three times. One of 6 MiB took exiftool 4.6 s."""

MOST_VALUES = 10_000
"""LoRAs and tags, mostly. 12,000, with an argument for each, took exiftool 1.6 s (12.57)."""


class Standing(enum.Enum):
    """Whether sidecars can be written."""

    READY = "ready"
    MISSING = "missing"
    TOO_OLD = "too_old"
    BROKEN = "broken"


HINTS: Mapping[Standing, str] = {
    Standing.MISSING: "install exiftool: `apt install libimage-exiftool-perl` (Debian, Ubuntu); sidecars follow by themselves",
    Standing.TOO_OLD: f"exiftool {OLDEST[0]}.{OLDEST[1]} or newer is needed; sidecars follow by themselves",
    Standing.BROKEN: "exiftool does not write what it is told: see the log, and reinstall it",
}

T = TypeVar("T")


class _Unavailable(Exception):
    """exiftool is not to be had now. The words say what to do."""


_Identity = tuple[str, int, int, int, int]
"""Where a program's file is, and which it is: device, inode, size, and when it was changed."""


class ExifToolSidecars:
    """As model.sidecars.Sidecars promises: nobody's words are lost, and rendering again what was rendered changes nothing.

    `folder` is its own, made and emptied here; `find` says where exiftool is, None where it is not.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        find: Callable[[], str | None] = lambda: shutil.which("exiftool"),
        deadline_s: float = DEADLINE_S,
    ) -> None:
        self._folder, self._clock, self._find, self._deadline_s = folder, clock, find, deadline_s
        self._thread: ThreadPoolExecutor | None = None
        self._tool: Tool | None = None
        self._left, self._closing = 0, False
        self._used_s = -math.inf
        """When it was needed last."""
        self._standing, self._until_s = Standing.READY, 0.0
        self._tried: _Identity | None = None
        """The program that this standing is about."""
        self._refused: Standing | None = None
        """Why a sidecar was not written since the last look."""
        self._told = Standing.READY
        """At the last look."""
        self.version = ""
        """Of the exiftool that was met last."""

    @property
    def available(self) -> bool:
        """Also when nobody has looked yet, or it is time to look again."""
        return self._standing is Standing.READY or self._clock.monotonic_s() >= self._until_s

    async def render(self, info: MediaInfo, facts: SidecarFacts, existing: bytes | None) -> bytes | SidecarTrouble | None:
        """As the contract says. A file of which no generation is known has nothing to say."""
        try:
            return await self._in_thread(lambda: self._rendered(info, facts, existing))  # reading a large one takes a second
        except _Unavailable as e:
            self._refused = None if self._standing is Standing.READY else self._standing
            return SidecarTrouble(str(e), later=True)

    async def standing(self) -> Standing:
        """Looks whether exiftool is still there, a few system calls; one that has come, or is another one, has to show what it can
        do. One that nobody has needed for a while is ended.

        Where a sidecar had to wait since a look that found all well, the answer is why, once, also if that has passed: somebody has
        to see to it that it follows.
        """
        await self._in_thread(self._look)
        refused, self._refused = self._refused, None
        self._told = refused if refused is not None and self._told is Standing.READY else self._standing
        return self._told

    @property
    def advice(self) -> str:
        """What to tell the owner of an exiftool that works; empty when there is nothing."""
        if self._standing is not Standing.READY or not self.version or version_of(self.version) >= ADVISED:
            return ""
        return f"exiftool {self.version} works; {ADVISED[0]}.{ADVISED[1]} closes a hole (CVE-2026-7580) that forged leaves alone"

    async def aclose(self) -> None:
        """Ends exiftool and its thread. What is being written is given up, and is unavailable; its file waits."""
        self._closing, tool = True, self._tool
        if tool is not None:
            tool.kill()
        if self._thread is not None:
            await self._in_thread(self._end)
            self._thread.shutdown()
            self._thread = None
        self._closing = False

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="exiftool")
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # --- in the thread ----------------------------------------------------------------------------------------------------

    def _look(self) -> None:
        is_another = self._is_another()
        if is_another:
            self._end()  # where its file is gone the rest of it may be, too, and that would show in the middle of a sidecar
            self._until_s = 0.0
        if is_another or self._standing is not Standing.READY:
            with suppress(_Unavailable):
                self._ready()
        if self._clock.monotonic_s() - self._used_s >= IDLE_S:
            self._end()

    def _is_another(self) -> bool:
        """Not what was tried, or gone. Nothing was tried at the start."""
        found = self._identity()
        return found is None or found != self._tried

    def _identity(self) -> _Identity | None:
        """Of the program that would be run now; None where there is none."""
        executable = self._find()
        if executable is None:
            return None
        try:
            look = os.stat(executable)
        except OSError:
            return None
        return executable, look.st_dev, look.st_ino, look.st_size, look.st_mtime_ns

    def _rendered(self, info: MediaInfo, facts: SidecarFacts, existing: bytes | None) -> bytes | SidecarTrouble | None:
        before = understood(existing)
        if isinstance(before, SidecarTrouble):
            return before
        changed = changes(wanted(info, facts), before)
        if not changed:
            return None
        if is_too_much(changed):
            return SidecarTrouble("it says more of itself than a sidecar takes")
        changed[METADATA_DATE] = [f"{datetime.fromtimestamp(self._clock.now_ns() // 10**9, UTC):%Y:%m:%d %H:%M:%S}+00:00"]
        return self._written(changed, before, existing)

    def _written(self, changed: Mapping[Property, Sequence[str]], before: Packet, existing: bytes | None) -> bytes | SidecarTrouble:
        """One that fails with a fresh exiftool as well is the file's fault, or exiftool's: it costs no other file anything."""
        for attempt in (1, 2):
            tool = self._ready()
            self._used_s = self._clock.monotonic_s()
            try:
                return self._with(tool, changed, before, existing)
            except ToolFailed as failed:
                self._end()
                why = str(failed)
                if attempt == 2:
                    break
        return SidecarTrouble(why)

    def _with(
        self, tool: Tool, changed: Mapping[Property, Sequence[str]], before: Packet, existing: bytes | None
    ) -> bytes | SidecarTrouble:
        place = self._folder / "sidecar.xmp"
        place.unlink(missing_ok=True)
        if existing is not None:
            place.write_bytes(existing)
        self._left -= 1
        tool.execute(*OPTIONS, *arguments(changed), str(place))
        try:
            content = place.read_bytes()
        except FileNotFoundError:
            return SidecarTrouble(f"exiftool wrote nothing: {str(tool.last_stderr).strip()[:300]}")
        finally:
            place.unlink(missing_ok=True)
        return judged(content, changed, before)

    def _ready(self) -> Tool:
        """A running exiftool that has shown what it can do. Raises _Unavailable."""
        if self._tool is not None and self._tool.is_alive and self._left > 0:
            return self._tool
        self._end()
        if self._closing:
            raise _Unavailable("forged is about to end; sidecars follow")
        now_s = self._clock.monotonic_s()
        if self._standing is not Standing.READY and now_s < self._until_s:
            raise _Unavailable(HINTS[self._standing])
        self._standing, self._until_s = self._begun(), now_s + TRY_AGAIN_S
        if self._standing is not Standing.READY or self._tool is None:
            self._end()
            raise _Unavailable(HINTS[self._standing])
        return self._tool

    def _begun(self) -> Standing:
        self._tried = self._identity()
        if self._tried is None:
            return Standing.MISSING
        shutil.rmtree(self._folder, ignore_errors=True)  # what a killed exiftool left would stop the next one
        self._folder.mkdir(parents=True, mode=0o700)
        self._tool, self._left = Tool(self._tried[0], self._deadline_s), COMMANDS_EACH
        try:
            self._tool.run()
            self.version = str(self._tool.execute("-ver")).strip()
            if version_of(self.version) < OLDEST:
                return Standing.TOO_OLD
            return Standing.READY if isinstance(self._with(self._tool, PROBE, NOTHING, None), bytes) else Standing.BROKEN
        except (ToolFailed, OSError):
            return Standing.BROKEN

    def _end(self) -> None:
        if self._tool is not None:
            self._tool.end()
            self._tool = None


SEPARATOR = "\x1f"
"""Between the values of a list. XML cannot hold it, so `clean` leaves it in no value."""

OPTIONS = ("-E", "-n", "-overwrite_original", "-api", "Compact=OneDesc", "-sep", SEPARATOR)
"""Values are HTML-escaped and plain; one rdf:Description, since PhotoPrism reads only one.

The values of a list in one argument: 6.1 ms of processor time instead of 10.2 for 28 properties with 81 values (12.57).
"""

NOTHING = Packet({}, Counter())

PROBE: Mapping[Property, Sequence[str]] = {
    prop: ["2026:11:28 01:02:03+00:00"] if "Date" in prop.tag else ["a\n<b>", "c"] if prop.is_list else ["-a\n &<b> ä"]
    for prop in PROPERTIES
}
"""Everything we ever write: exiftool drops a tag that it does not know without a word, and exits well."""


def understood(existing: bytes | None) -> Packet | SidecarTrouble:
    """What lies there, if it may be given to exiftool."""
    if existing is None:
        return NOTHING
    if len(existing) > MOST_BYTES:
        return SidecarTrouble("the sidecar that is there is too large; it is left alone")
    try:
        return read(existing)
    except NotXmp as e:
        return SidecarTrouble(f"what lies there as its sidecar is not one that forged understands ({e}); it is left alone")


def arguments(changed: Mapping[Property, Sequence[str]]) -> list[str]:
    """One for each property; one without values is taken out."""
    return [f"-{prop.tag}={SEPARATOR.join(encoded(value) for value in values)}" for prop, values in changed.items()]


def is_too_much(changed: Mapping[Property, Sequence[str]]) -> bool:
    """Whether exiftool had better not try."""
    values = [value for those in changed.values() for value in those]
    return len(values) > MOST_VALUES or sum(map(len, values)) > MOST_TEXT_CHARS


def encoded(value: str) -> str:
    """As exiftool's `-E` reads it: nothing that ends a line, and no blank that it would strip."""
    text = clean(value).replace("&", "&amp;").replace("\n", "&#xa;").replace("\t", "&#x9;")
    bare = text.lstrip(" ")
    return "&#x20;" * (len(text) - len(bare)) + bare


def judged(content: bytes, changed: Mapping[Property, Sequence[str]], before: Packet) -> bytes | SidecarTrouble:
    """What exiftool has made, if it says all that it was told, and everything that was there before."""
    if len(content) > MOST_BYTES:
        return SidecarTrouble("it says more of itself than a sidecar takes")
    try:
        after = read(content)
    except NotXmp as e:
        return SidecarTrouble(f"exiftool has made something that is no XMP ({e})")
    for prop, values in changed.items():
        told = [as_in_xml(prop, clean(value)) for value in values]
        if sorted(after.values.get(prop.name, ())) != sorted(told):
            return SidecarTrouble(f"exiftool did not write {prop.tag} as it was told")
    names = {f"/{prop.name}" for prop in changed}
    lost = +Counter({fact: times for fact, times in before.facts.items() if _top(fact[0]) not in names})
    lost.subtract(after.facts)
    gone = +lost
    return SidecarTrouble(f"exiftool would lose what others wrote: {next(iter(gone))[0][:200]}") if gone else content


def _top(way: str) -> str:
    """The property that a fact belongs to. Namespaces hold slashes, and end before a blank."""
    found = re.match(r"/[^ ]* [^/]*", way)
    return found[0] if found else way


def version_of(text: str) -> tuple[int, ...]:
    """`12.57` as numbers; nothing of what is no version."""
    return tuple(int(part) for part in text.split(".")) if re.fullmatch(r"\d{1,4}(\.\d{1,4})*", text) else ()
