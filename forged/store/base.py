"""The contract of the store, as promises, in small groups. One suite (tests/store/contract.py) holds every body to it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from forged.model.alarms import Alarm
from forged.model.boxes import KnownBox
from forged.model.events import Event, EventId, NewEvent
from forged.model.files import Outline, Stat
from forged.model.handing import AsideCount, Handed, Replay, SetAside
from forged.model.jobs import Job, JobId
from forged.model.manifest import AtSource, Hold, ManifestName, ManifestRow, Pause, PinKeeper
from forged.model.media import Alike, Copy, Equals, Examined, Known, Owed, ToExamine
from forged.model.paths import HomePath, SourcePath

JOBS_KEPT = 1_000  # DESIGN section 6, `sync.list`


class Rows(Protocol):
    """What we brought home. One current version for each path of a manifest; older versions are history.

    History is where older contents lie at home. A version whose place at home a newer one of its path has taken is no part of it:
    a log that is replaced every second for years leaves one row.
    """

    async def between(
        self, name: ManifestName, after: SourcePath | None, upto: SourcePath | None, limit: int
    ) -> Sequence[ManifestRow]:
        """Current rows with `after < path <= upto` (None = no bound), ascending by path bytes, at most `limit`."""

    async def outlines(
        self, name: ManifestName, after: SourcePath | None, upto: SourcePath | None, limit: int
    ) -> Sequence[Outline]:
        """As `between`, but only of the rows that are PRESENT, and only what a listing can tell of them: much quicker."""

    async def current(self, name: ManifestName, paths: Sequence[SourcePath]) -> Sequence[ManifestRow | None]:
        """The current rows of these paths, in the order asked."""

    async def record(
        self,
        name: ManifestName,
        rows: Sequence[ManifestRow],
        events: Sequence[NewEvent] = (),
        to_examine: Collection[SourcePath] = frozenset(),
    ) -> None:
        """Remembers landed versions and puts events into the outbox, all in one transaction, durable on return.

        Those of them that are `to_examine` wait from then on in the queue of `Media`: no crash comes in between.

        A row becomes its path's current version; a former one becomes history, or is forgotten where the new one has its home.
        The row that is current already changes nothing (its events are put all the same). Of several rows of one path the last is
        current.
        """

    async def restat(self, name: ManifestName, seen: Sequence[tuple[SourcePath, Stat]]) -> None:
        """The same content was seen under another stat (touched, restored): the current rows take it and count as present."""

    async def mark(
        self, name: ManifestName, paths: Sequence[SourcePath], at_source: AtSource, events: Sequence[NewEvent] = ()
    ) -> None:
        """Current rows of `paths` are now so at the source, and the events are in the outbox: in one transaction. Unknown paths are
        ignored."""

    async def entomb(self, name: ManifestName, paths: Sequence[SourcePath], at_ns: int) -> None:
        """The owner deleted these at home. An older tombstone keeps its time; unknown paths are ignored.

        They do not wait to be looked into any more, and what was found in them is forgotten. What older versions hold stays.
        """

    async def forget(self, name: ManifestName, paths: Sequence[SourcePath] | None = None) -> int:
        """Forgets all versions of these paths (None = the whole manifest); answers how many paths it knew of them.

        With them goes what was found in them, and what was to be looked into.
        """

    async def count(self, name: ManifestName) -> tuple[int, int]:
        """(current rows, their bytes)."""

    def history(self, name: ManifestName, path: SourcePath) -> AsyncIterator[ManifestRow]:
        """All versions of one path, newest first."""

    async def homes(self, name: ManifestName, path: SourcePath, sha256: bytes) -> ManifestRow | None:
        """The version of `path` with this content, if one ever landed: the newest of them, current or not."""


@dataclass(frozen=True, slots=True)
class Written:
    """Whose rows were written to since a mark, and the mark to ask from the next time."""

    mark: int
    paths: Sequence[SourcePath] | None
    """In no order, perhaps some of them twice. None: nobody can tell any more, so all may have been."""


class Manifest(Rows, Protocol):
    """The rows, and a memory of which of them were written to lately (`journal.Journaled`, around the rows of any body)."""

    def written(self, name: ManifestName, since: int) -> Written:
        """The paths whose rows were written to since `since`, the mark of an earlier answer (0 = there was none). Never waits.

        When `record`, `restat`, `mark`, `entomb` or `forget` returns or raises, its paths are in it, whether or not they changed.
        Kept in memory, as long as the store is open, for one asker a manifest: what lies before `since` is forgotten, and
        everything is when it becomes too much; to marks from before that the answer is None. A body whose rows another process
        writes, too, has to answer None every time.
        """


class Media(Protocol):
    """What was found in the files at home, and which of them wait to be looked into.

    Each version of a path waits by itself, as long as it is remembered: one that another comes after is at home as well. The queue
    of each manifest is in the order of landing, within one landing of path, and then of home.
    """

    async def queue(self, name: ManifestName, paths: Sequence[SourcePath], at_ns: int) -> int:
        """The current versions of these paths wait (again) from now on, as if they had never been tried, and older ones in which
        nothing was found yet; answers how many. In one transaction.

        Unknown paths are ignored, and what the owner has deleted. What was found in an older version is kept as it is: what lay
        beside it then may say something else by now.
        """

    async def waiting(self, name: ManifestName, limit: int) -> Sequence[ToExamine]:
        """The first of those that wait."""

    async def count_waiting(self) -> Mapping[ManifestName, int]:
        """How many wait, of each manifest that has any."""

    async def begun(self, files: Sequence[ToExamine]) -> None:
        """These are tried once more; durable on return, so before they are opened."""

    async def put_back(self, files: Sequence[ToExamine]) -> None:
        """It was not their fault that the try led to nothing: they have as many as they came with."""

    async def drop(self, files: Sequence[ToExamine]) -> None:
        """They wait no more, and nothing was found out. What has been queued anew since they were asked for waits on, as does
        another content that has taken their place at home meanwhile."""

    async def finish(self, examined: Sequence[Examined]) -> None:
        """They wait no more (see `drop`), what was found is remembered, their events are in the outbox, in this order: all in one
        transaction.

        It takes the place of what was found before in the same place at home. Of versions that were forgotten meanwhile nothing is
        remembered, and nothing told.
        """

    async def info(self, name: ManifestName, path: SourcePath) -> Known | None:
        """What was found in the current version of a path; None also where an older one was looked into, and not yet this."""

    async def of_home(self, name: ManifestName, home: HomePath, limit: int = 10) -> Sequence[Known]:
        """What was found in this file at home, once for each path that it is the home of, the last landed first."""

    async def owing(self, name: ManifestName, what: Owed, after: Known | None, limit: int) -> Sequence[Known]:
        """Files for which this is still to be done, in the order of their homes; `after` continues a page."""

    async def paid(self, known: Sequence[Known], what: Owed) -> None:
        """This was done for them, or can never be. Nothing happens where another content was looked into meanwhile."""


class Copies(Protocol):
    """Which of the files that were looked into are equal, or look alike, over all manifests.

    What a file was when it was looked into is no proof of what it is now: before anything is done to it, it has to be compared.
    """

    async def equals(self, after: bytes | None, limit: int) -> Sequence[Equals]:
        """Contents that are at home more than once, ascending by sha256; `after` continues a page."""

    async def copies(self, sha256: bytes, after: Copy | None, limit: int) -> Sequence[Copy]:
        """All files with this content: by manifest, and within one the first landed first; `after` continues a page."""

    async def firsts(self, sha256: bytes, names: Sequence[ManifestName]) -> Sequence[Copy]:
        """The first landed with this content (then by home) of each of these manifests, where it has any. However many there are,
        it takes one look into an index for each manifest."""

    async def same_pixels(self, pixels_sha256: bytes, limit: int) -> Sequence[Copy]:
        """Pictures with these pixels, whatever else is in their files."""

    async def alike(self, dhash: bytes, limit: int) -> Sequence[Alike]:
        """Pictures whose dhash (8 bytes) differs in 6 bits at most, the nearest first.

        All of them among a million as pictures are; where thousands of them share a quarter of it to the bit, perhaps not all.
        """


class Jobs(Protocol):
    """Jobs now and recent; the last JOBS_KEPT are kept, and those that have not ended.

    A job that ran when the process died is FAILED from the next opening on, and its result says so.
    """

    async def save(self, job: Job) -> None:
        """Remembers a job, replacing what was known of the same id."""

    async def get(self, id: JobId) -> Job | None: ...

    async def recent(self, limit: int = 100, before: Job | None = None) -> Sequence[Job]:
        """Newest first by start; `before` continues a page."""


MOST_EVENTS_BYTES = 16 << 20
"""Of the bodies of events that are looked at together, but for the last one."""


class Outbox(Protocol):
    """Events that wait for their handlers. Each handler has its own place in the stream; a new one begins at its oldest event.

    Ids ascend in the order of recording and are never given twice, not even after pruning. An event that a handler failed on is
    taken out of its stream, and all later ones of its key behind it, so that it stops no other: it is set aside.
    """

    async def put(self, events: Sequence[NewEvent]) -> None:
        """Puts events that belong to no row of a manifest, in this order, in one transaction; durable on return."""

    async def after(self, handler: str, limit: int) -> Sequence[Event]:
        """The next events in the stream of `handler` that it has not acknowledged, in order: at least one, if there is any; no more
        than `limit`, nor than come to some MiB (MOST_EVENTS_BYTES): a picture can carry 12 MiB of text."""

    async def acknowledge(self, handler: str, upto: EventId) -> None:
        """`handler` is done with all events of its stream up to and including this one. Never moves backwards."""

    async def waiting(self, handler: str) -> int:
        """How many events in its stream `handler` has not acknowledged."""

    async def prune(self, handlers: Sequence[str]) -> int:
        """Deletes events that all these handlers have acknowledged; answers how many. With no handlers, all of them.

        What was set aside for others is forgotten.
        """

    async def settle(
        self, handler: str, *, upto: EventId | None = None, taken: Collection[EventId] = (), aside: Sequence[SetAside] = ()
    ) -> None:
        """In one transaction: acknowledges `upto`; `taken` are set aside no more; `aside` are, in place of what was known of them.

        Where one event of a key waits for a person (`due_ns` None), all of that key do.
        """

    async def set_aside(self, handler: str, after: EventId, limit: int) -> Sequence[SetAside]:
        """What is set aside for `handler`, by id; `after` continues a page."""

    async def due(self, handler: str, now_ns: int, limit: int) -> Sequence[SetAside]:
        """What is to be tried again now, by id: of each key only the first event."""

    async def next_due(self, handler: str) -> int | None:
        """When the next of them is to be tried again; None: none is, by itself."""

    async def set_aside_keys(self, handler: str, keys: Collection[str]) -> frozenset[str]:
        """Those of these keys of which an event is set aside."""

    async def count_aside(self, handler: str) -> AsideCount: ...

    async def retry(self, handler: str, ids: Collection[EventId] | None = None) -> int:
        """These, and all of their keys, are tried again at once, as if they never had been; None = all. Answers how many."""

    async def drop(self, handler: str, ids: Collection[EventId] | None = None) -> int:
        """These are forgotten; None = all that wait for a person. What was behind one of them has its turn. Answers how many."""


class Ingests(Protocol):
    """Which handler takes the events of files, and what it has of them."""

    async def enlist(self, takes: Mapping[str, Collection[str]], now_ns: int) -> None:
        """From now on these handlers take what happens to the files of these targets and discoveries (none named: of all).

        One that did before goes on; one that comes has taken nothing that has landed yet. Others take nothing any more: what was
        to be brought to them again is forgotten.
        """

    async def handed(
        self, name: ManifestName, files: Mapping[SourcePath, str], handlers: Sequence[str], of: Collection[str]
    ) -> Handed:
        """What these handlers have of these files (their keys in the outbox), at one moment. `of`: the names of their target."""

    async def replays(self) -> Sequence[Replay]:
        """Those that have not come to their end."""

    async def replayed(self, replay: Replay, events: Sequence[NewEvent] = ()) -> None:
        """Remembers how far a replay has come, and puts these events into the stream of its handler alone; in one transaction."""


class Flags(Protocol):
    """What a person or rules.safety has decided about a target, and what was met at its home: kept over restarts."""

    async def pause(self, name: ManifestName) -> Pause | None: ...

    async def set_pause(self, name: ManifestName, pause: Pause | None) -> None: ...

    async def hold(self, name: ManifestName) -> Hold | None: ...

    async def set_hold(self, name: ManifestName, hold: Hold | None) -> None: ...

    async def released(self, name: ManifestName) -> int | None:
        """When a person released a hold, while no look at the whole source has followed; None: nobody did. That look believes what
        it sees, also if forged is started anew before it."""

    async def set_released(self, name: ManifestName, since_ns: int | None) -> None: ...

    async def trouble(self, name: ManifestName) -> int | None:
        """Since when the disk at home fails, or has failed without a look at everything there since; None: it does not."""

    async def set_trouble(self, name: ManifestName, since_ns: int | None) -> None: ...


class Limits(Protocol):
    """Bandwidth limits that a person keeps over restarts, as they were written.

    Each is of one target, by its name, or (None) of all together.
    """

    async def kept(self) -> Mapping[str | None, str]:
        """All that are kept, also of targets that are not configured now: they may come back."""

    async def keep(self, target: str | None, limit: str | None) -> None:
        """Keeps this limit in place of the one before; None = forgets it."""


class Destinations(Protocol):
    """Which marker id is known for which destination folder."""

    async def known_id(self, dest: str) -> str | None: ...

    async def remember(self, dest: str, id: str) -> None: ...


class Boxes(Protocol):
    """Which boxes each discovery knows, over restarts: a provider that is down at the start takes no box away."""

    async def known(self, discovery: str) -> Sequence[KnownBox]:
        """All boxes of this discovery, in the order of their ids."""

    async def remember(self, discovery: str, boxes: Sequence[KnownBox]) -> None:
        """From now on these are the boxes of this discovery, and no others."""

    async def keep_only(self, discoveries: Sequence[str]) -> None:
        """Forgets the boxes of every other discovery."""


class Alarms(Protocol):
    """Which alarms are raised, over restarts: so that each is told once."""

    async def raised(self) -> Sequence[Alarm]:
        """All that are raised now, in no order."""

    async def raise_(self, alarm: Alarm, events: Sequence[NewEvent]) -> None:
        """Remembers it and puts its events into the outbox, in one transaction. One raised already keeps its time."""

    async def end(self, alarm: Alarm, events: Sequence[NewEvent] = ()) -> None:
        """Forgets it and puts these events into the outbox, in one transaction."""


class Store(Protocol):
    """The whole memory. Open and closed by the app; every method raises StoreError when the database is in trouble."""

    most_name_bytes: int | None  # of manifest, path and home, or a handler and its event's key: longer ones fail. None: any

    @property
    def manifest(self) -> Manifest: ...

    @property
    def media(self) -> Media: ...

    @property
    def copies(self) -> Copies: ...

    @property
    def jobs(self) -> Jobs: ...

    @property
    def outbox(self) -> Outbox: ...

    @property
    def ingests(self) -> Ingests: ...

    @property
    def flags(self) -> Flags: ...

    @property
    def limits(self) -> Limits: ...

    @property
    def destinations(self) -> Destinations: ...

    @property
    def pins(self) -> PinKeeper: ...

    @property
    def boxes(self) -> Boxes: ...

    @property
    def alarms(self) -> Alarms: ...

    async def identity(self) -> str:
        """A random id (16 hex digits) of this memory, made once: it keeps our staging areas apart from another forged's."""

    async def close(self) -> None:
        """Ends it; nothing that was answered is lost."""
