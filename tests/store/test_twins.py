"""The SQLite store and its toy twin answer the same, whatever is done to them in whatever order."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from forged.model.events import Event, EventId, NewEvent
from forged.model.files import Stat
from forged.model.handing import Replay, SetAside
from forged.model.manifest import AtSource, ManifestRow
from forged.model.media import Examined, Likeness, MediaInfo, MediaKind, Owed
from forged.model.paths import SourcePath
from forged.store.base import Store
from forged.store.memory import MemoryStore
from forged.store.sqlite import open_store
from tests.store import samples

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where there is such a place: hundreds of stores are made, and none has to outlive anything."""

names = st.sampled_from([samples.FORGE, samples.COMFY])
some_paths = st.lists(samples.paths, max_size=3)
handlers = st.sampled_from(["catalog", "webhook"])


class Twins(RuleBasedStateMachine):
    """Both bodies side by side; each step asks both the same."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="forged-twins-", dir=MEMORY))
        self.runner = asyncio.Runner()
        self.twin = MemoryStore()
        self.store = self.runner.run(open_store(self.folder / "forged.db"))

    def teardown(self) -> None:
        self.runner.run(self.store.close())
        self.runner.close()
        shutil.rmtree(self.folder)

    def same(self, ask: Callable[[Store], Awaitable[object]]) -> None:
        async def both() -> tuple[object, object]:
            return await ask(self.store), await ask(self.twin)

        answer, expected = self.runner.run(both())
        assert answer == expected

    @rule(name=names, rows=st.lists(samples.rows, max_size=6), events=st.lists(samples.events, max_size=2))
    def record(self, name: samples.ManifestName, rows: list[ManifestRow], events: list[NewEvent]) -> None:
        self.same(lambda s: s.manifest.record(name, rows, events))

    @rule(name=names, rows=st.lists(samples.rows, max_size=6), every=st.integers(1, 2))
    def land(self, name: samples.ManifestName, rows: list[ManifestRow], every: int) -> None:
        self.same(lambda s: s.manifest.record(name, rows, to_examine={row.path for row in rows[::every]}))

    @rule(name=names, paths=some_paths, at_ns=st.integers(0, 9))
    def queue(self, name: samples.ManifestName, paths: list[SourcePath], at_ns: int) -> None:
        self.same(lambda s: s.media.queue(name, paths, at_ns))

    @rule(name=names, limit=st.integers(0, 3), owes=st.sets(st.sampled_from(Owed)), begun=st.booleans(), dropped=st.booleans())
    def examine(self, name: samples.ManifestName, limit: int, owes: set[Owed], begun: bool, dropped: bool) -> None:
        async def ask(store: Store) -> object:
            files = list(await store.media.waiting(name, limit))
            if begun:
                await store.media.begun(files)
            elif dropped:
                await store.media.drop(files)
            else:
                info = MediaInfo(MediaKind.IMAGE, "png", likeness=Likeness(files[0].sha256[:8] if files else None))
                await store.media.finish([Examined(file, info, 5, frozenset(owes)) for file in files])
            return files, dict(await store.media.count_waiting())

        self.same(ask)

    @rule(name=names, what=st.sampled_from(Owed), pays=st.booleans())
    def owing(self, name: samples.ManifestName, what: Owed, pays: bool) -> None:
        async def ask(store: Store) -> object:
            page = list(await store.media.owing(name, what, None, 2))
            rest = list(await store.media.owing(name, what, page[-1], 9)) if page else []
            if pays:
                await store.media.paid(page, what)
            return page, rest

        self.same(ask)

    @rule(paths=some_paths, sha256=st.binary(min_size=1, max_size=1).map(lambda one: one * 32))
    def copies(self, paths: list[SourcePath], sha256: bytes) -> None:
        async def ask(store: Store) -> object:
            known = [await store.media.info(name, path) for path in paths for name in (samples.FORGE, samples.COMFY)]
            copies = list(await store.copies.copies(sha256, None, 3))
            rest = list(await store.copies.copies(sha256, copies[-1], 9)) if copies else []
            firsts = list(await store.copies.firsts(sha256, [samples.FORGE, samples.COMFY]))
            alike = sorted(one.copy.home for one in await store.copies.alike(sha256[:8], 100))
            return known, copies, rest, firsts, alike, list(await store.copies.equals(None, 9))

        self.same(ask)

    @rule(name=names, seen=st.lists(st.tuples(samples.paths, samples.stats), max_size=3))
    def restat(self, name: samples.ManifestName, seen: list[tuple[SourcePath, Stat]]) -> None:
        self.same(lambda s: s.manifest.restat(name, seen))

    @rule(name=names, paths=some_paths, at_source=st.sampled_from(AtSource))
    def mark(self, name: samples.ManifestName, paths: list[SourcePath], at_source: AtSource) -> None:
        self.same(lambda s: s.manifest.mark(name, paths, at_source))

    @rule(name=names, paths=some_paths, at_ns=st.integers(0, 9))
    def entomb(self, name: samples.ManifestName, paths: list[SourcePath], at_ns: int) -> None:
        self.same(lambda s: s.manifest.entomb(name, paths, at_ns))

    @rule(name=names, paths=st.none() | some_paths)
    def forget(self, name: samples.ManifestName, paths: list[SourcePath] | None) -> None:
        self.same(lambda s: s.manifest.forget(name, paths))

    @rule(name=names, after=st.none() | samples.paths, upto=st.none() | samples.paths, limit=st.integers(0, 4))
    def between(self, name: samples.ManifestName, after: SourcePath | None, upto: SourcePath | None, limit: int) -> None:
        async def ask(store: Store) -> object:
            rows = await store.manifest.between(name, after, upto, limit)
            return list(rows), list(await store.manifest.outlines(name, after, upto, limit))

        self.same(ask)

    @rule(name=names, paths=some_paths, sha256=st.binary(min_size=1, max_size=1).map(lambda one: one * 32))
    def look_closer(self, name: samples.ManifestName, paths: list[SourcePath], sha256: bytes) -> None:
        async def ask(store: Store) -> object:
            histories = [[version async for version in store.manifest.history(name, path)] for path in paths]
            homes = [await store.manifest.homes(name, path, sha256) for path in paths]
            return histories, homes, await store.manifest.current(name, paths)

        self.same(ask)

    @rule(handler=handlers, limit=st.integers(0, 3), due_ns=st.none() | st.integers(0, 9), now_ns=st.integers(0, 9))
    def set_aside(self, handler: str, limit: int, due_ns: int | None, now_ns: int) -> None:
        async def ask(store: Store) -> object:
            events = list(await store.outbox.after(handler, limit))
            aside = [SetAside(one, 1, "no", 5, due_ns) for one in events]
            await store.outbox.settle(handler, upto=events[-1].id if events else None, aside=aside)
            keys = await store.outbox.set_aside_keys(handler, [one.key for one in events])
            due = list(await store.outbox.due(handler, now_ns, 5))
            await store.outbox.settle(handler, taken=[one.event.id for one in due[:1]])
            every = list(await store.outbox.set_aside(handler, EventId(0), 99))
            return keys, due, every, await store.outbox.next_due(handler), await store.outbox.count_aside(handler)

        self.same(ask)

    @rule(handler=handlers, ids=st.none() | st.sets(st.integers(1, 20).map(EventId)), drops=st.booleans())
    def steer(self, handler: str, ids: set[EventId] | None, drops: bool) -> None:
        self.same(lambda s: (s.outbox.drop if drops else s.outbox.retry)(handler, ids))

    @rule(handler=handlers, name=names, after=st.none() | samples.paths, events=st.lists(samples.events, max_size=2))
    def replayed(self, handler: str, name: samples.ManifestName, after: SourcePath | None, events: list[NewEvent]) -> None:
        async def ask(store: Store) -> object:
            await store.ingests.replayed(Replay(handler, name, after), events)
            return list(await store.ingests.replays())

        self.same(ask)

    @rule(taking=st.dictionaries(handlers, st.sets(st.sampled_from(["a", "b"]))), now_ns=st.integers(0, 9), name=names)
    def enlist(self, taking: dict[str, set[str]], now_ns: int, name: samples.ManifestName) -> None:
        async def ask(store: Store) -> object:
            await store.ingests.enlist(taking, now_ns)
            rows = await store.manifest.between(name, None, None, 5)
            files = {row.path: row.path.decode("utf-8", "replace")[:5] for row in rows}
            return await store.ingests.handed(name, files, ["catalog", "webhook"], ["a"])

        self.same(ask)

    @rule(handler=handlers, limit=st.integers(0, 3))
    def acknowledge(self, handler: str, limit: int) -> None:
        async def ask(store: Store) -> list[Event]:
            events = list(await store.outbox.after(handler, limit))
            if events:
                await store.outbox.acknowledge(handler, EventId(events[-1].id))
            return events

        self.same(ask)

    @rule(handler=handlers)
    def waiting(self, handler: str) -> None:
        self.same(lambda s: s.outbox.waiting(handler))

    @rule(handlers=st.lists(handlers, max_size=2))
    def prune(self, handlers: list[str]) -> None:
        self.same(lambda s: s.outbox.prune(handlers))

    @rule()
    def reopen(self) -> None:
        async def again() -> None:
            await self.store.close()
            self.store = await open_store(self.folder / "forged.db")

        self.runner.run(again())

    @invariant()
    def nothing_differs(self) -> None:
        for name in (samples.FORGE, samples.COMFY):
            self.same(lambda s, name=name: s.manifest.count(name))
            self.same(lambda s, name=name: s.manifest.between(name, None, None, 1_000))


def test_the_twins_answer_the_same() -> None:
    limits = settings(max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Twins, settings=limits)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.lists(samples.rows, max_size=30),
    after=st.none() | samples.paths,
    upto=st.none() | samples.paths,
    page=st.integers(1, 7),
)
def test_pages_between_any_two_paths_are_those_of_a_sorted_dict(
    rows: list[ManifestRow], after: SourcePath | None, upto: SourcePath | None, page: int
) -> None:
    model = {row.path: row for row in rows}
    expected = [model[p] for p in sorted(model) if (after is None or p > after) and (upto is None or p <= upto)]

    async def paged(store: Store) -> list[ManifestRow]:
        await store.manifest.record(samples.FORGE, rows)
        got: list[ManifestRow] = []
        place = after
        while found := await store.manifest.between(samples.FORGE, place, upto, page):
            got += found
            place = found[-1].path
        return got

    async def in_sqlite() -> list[ManifestRow]:
        with tempfile.TemporaryDirectory(prefix="forged-pages-", dir=MEMORY) as folder:
            store = await open_store(Path(folder) / "forged.db")
            try:
                return await paged(store)
            finally:
                await store.close()

    assert asyncio.run(in_sqlite()) == expected
    assert asyncio.run(paged(MemoryStore())) == expected
