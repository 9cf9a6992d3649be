"""Parts of a listing that are known: what they spare, when they are not believed, and a box that lies about them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Collection, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from forged.model.errors import SourceBroken, SourceError, SourceLost
from forged.model.files import Entry, ListingEnd, ListingPart, Problem, ProblemKind, SamePart, Stat
from forged.model.manifest import AtSource, ManifestRow
from forged.model.observer import ScanEnded
from forged.model.paths import SourcePath, home_path, source_path
from forged.model.plan import Change, ChangeKind
from forged.model.target import Selection
from forged.store.base import Store
from forged.store.memory import MemoryStore
from forged.store.sqlite import open_store
from forged.sync import known
from forged.sync.doors import Doors
from forged.sync.known import Known
from forged.sync.scan import Scan
from tests.support.world import TARGET, World

Item = ListingPart | SamePart | ListingEnd | SourceError


def entry(name: str, size_bytes: int = 1) -> Entry:
    return Entry(source_path(name.encode()), Stat(size_bytes, 1, 2, 3))


def part(names: str, digest: bytes | None = b"") -> ListingPart:
    """One entry for each letter; its digest is their names."""
    return ListingPart(tuple(entry(name) for name in names), digest=names.encode() if digest == b"" else digest)


def same(names: str) -> SamePart:
    return SamePart(names.encode())


def row(entry: Entry) -> ManifestRow:
    """It is home since long ago."""
    return ManifestRow(entry.path, entry.stat, bytes(32), home_path(entry.path), landed_at_ns=-1)


class Scripted:
    """A source whose listings are written down; what a listing was told to be known is in `named`."""

    def __init__(self) -> None:
        self.items: Sequence[Item] = ()
        self.named: frozenset[bytes] = frozenset()

    async def list(
        self, folders: Sequence[SourcePath] = (), known: Collection[bytes] = ()
    ) -> AsyncGenerator[ListingPart | SamePart | ListingEnd, None]:
        self.named = frozenset(known)
        for item in self.items:
            if isinstance(item, SourceError):
                raise item
            yield item


class Looking:
    """Scans of one target, by hand: nothing is brought, rows are written as the tests say."""

    def __init__(self, store: Store | None = None) -> None:
        self.world = World()
        self.store = store or MemoryStore()
        self.source = Scripted()
        self.known = Known()
        self.name = TARGET.manifest

    def doors(self) -> Doors:
        return replace(self.world.doors(), source=self.source, store=self.store)  # type: ignore[arg-type]

    async def have(self, names: str) -> None:
        """These are home."""
        await self.store.manifest.record(self.name, [row(entry(name)) for name in names])

    async def scan(self, *items: Item, folders: Sequence[bytes] = (), files: int | None = None) -> Scan:
        """One scan; a ListingEnd comes by itself, unless `items` end in an error."""
        listed = sum(len(i.entries) for i in items if isinstance(i, ListingPart))
        listed += sum(len(i.digest) for i in items if isinstance(i, SamePart))
        broken = bool(items) and isinstance(items[-1], SourceError)
        self.source.items = items if broken else (*items, ListingEnd(listed if files is None else files, 0))
        scan = Scan(self.doors(), [source_path(folder) for folder in folders], self.known)
        self.changes: list[Change] = [change async for changes in scan.changes() for change in changes]
        return scan

    def found(self) -> list[tuple[ChangeKind, bytes]]:
        return [(change.kind, change.entry.path) for change in self.changes if change.entry is not None]


@pytest.fixture(params=["memory", "sqlite"])
async def looking(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Looking, None]:
    store = MemoryStore() if request.param == "memory" else await open_store(tmp_path / "forged.db")
    yield Looking(store)
    await store.close()


async def learned(looking: Looking, *parts: str) -> None:
    """Everything is home, and a look has seen that there is nothing to do."""
    await looking.have("".join(parts))
    scan = await looking.scan(*map(part, parts))
    assert scan.error is None
    assert not looking.changes


async def test_a_part_with_nothing_to_do_is_named_and_then_neither_listed_nor_read(looking: Looking) -> None:
    await learned(looking, "abc", "def")
    read: list[object] = []
    for method in ("outlines", "between", "current"):
        _listen(looking, method, read)
    scan = await looking.scan(same("abc"), same("def"))
    assert looking.source.named == {b"abc", b"def"}
    assert (scan.plan.listed, scan.plan.remembered, scan.summary.size_bytes) == (6, 6, 6)
    assert scan.summary.complete
    assert [call for call in read if call[:1] == ("outlines",)] == [("outlines", b"f", None)]  # only what may lie behind the last
    await looking.scan(same("abc"), same("def"))
    assert looking.source.named == {b"abc", b"def"}


def _listen(looking: Looking, method: str, read: list[object]) -> None:
    asked = getattr(looking.store.manifest, method)

    async def listened(name: str, after: object, upto: object = None, *more: object) -> object:
        read.append((method, after, upto))
        return await asked(name, after, upto, *more)

    setattr(looking.store.manifest, method, listened)


async def test_what_was_there_before_a_known_part_and_is_not_listed_any_more_is_gone(looking: Looking) -> None:
    await learned(looking, "abc", "def", "ghi")
    scan = await looking.scan(part("ab"), same("ghi"))
    assert scan.vanished() == [b"c", b"d", b"e", b"f"]
    assert scan.plan.remembered == 9


async def test_only_the_gap_before_a_known_part_is_compared(looking: Looking) -> None:
    await learned(looking, "abc", "def", "ghi")
    read: list[object] = []
    _listen(looking, "outlines", read)
    scan = await looking.scan(same("def"), same("ghi"))
    assert scan.vanished() == [b"a", b"b", b"c"]
    assert read == [("outlines", None, b"c"), ("outlines", b"i", None)]
    assert looking.source.named == {b"abc", b"def", b"ghi"}


async def test_gone_in_the_gap_is_found_again_by_a_held_target(looking: Looking) -> None:
    await learned(looking, "abc", "def")
    for _ in range(3):
        scan = await looking.scan(same("def"))
        assert scan.vanished() == [b"a", b"b", b"c"]


async def test_what_follows_a_known_part_is_compared_from_its_end_on(looking: Looking) -> None:
    await learned(looking, "abc", "def")
    scan = await looking.scan(same("abc"), part("f"))
    assert scan.vanished() == [b"d", b"e"]


@pytest.mark.parametrize("how", ["new", "other", "touched", "gone", "back"])
async def test_a_part_with_something_to_do_is_asked_for_again_until_it_is_done(looking: Looking, how: str) -> None:
    await looking.have("abc")
    changed = part("abcd") if how == "new" else part("ac") if how == "gone" else part("abc")
    if how == "back":
        await looking.store.manifest.mark(looking.name, [source_path(b"b")], AtSource.GONE)
    elif how in ("other", "touched"):
        stat = Stat(2, 1, 2, 3) if how == "other" else Stat(1, 9, 2, 3)
        changed = ListingPart((entry("a"), Entry(source_path(b"b"), stat), entry("c")), digest=b"abc")
    for _ in range(2):
        await looking.scan(changed)
        assert looking.source.named == frozenset()
    await looking.store.manifest.record(looking.name, [row(one) for one in changed.entries])
    if how == "gone":
        await looking.store.manifest.mark(looking.name, [source_path(b"b")], AtSource.GONE)
    scan = await looking.scan(SamePart(changed.digest or b""), files=len(changed.entries))
    assert scan.error is None
    assert looking.source.named == {changed.digest}  # proven by its rows alone
    assert scan.plan.remembered == len(changed.entries)


async def test_what_is_proven_between_two_listings_is_not_read_when_the_next_begins(looking: Looking) -> None:
    await looking.scan(part("abc"))
    await looking.have("abc")
    await looking.known.prove()
    read: list[object] = []
    _listen(looking, "outlines", read)
    await looking.scan(same("abc"))
    assert looking.source.named == {b"abc"}
    assert read == [("outlines", b"c", None)]


async def test_what_is_written_after_it_was_proven_is_proven_again(looking: Looking) -> None:
    await learned(looking, "abc")
    await looking.known.prove()
    await looking.store.manifest.mark(looking.name, [source_path(b"b")], AtSource.GONE)
    await looking.scan(part("abc"))
    assert looking.source.named == frozenset()
    assert looking.found() == [(ChangeKind.BACK, b"b")]


async def test_who_knows_nothing_has_nothing_to_prove() -> None:
    await Known().prove()


async def test_files_that_nobody_wants_keep_no_part_from_being_known(looking: Looking) -> None:
    looking.world.select(Selection(exclude=("b",)))
    await looking.have("ac")
    first = await looking.scan(part("abc"))
    assert looking.found() == [(ChangeKind.NEW, b"b")]
    again = await looking.scan(same("abc"))
    assert looking.source.named == {b"abc"}
    assert again.plan == first.plan


async def test_another_selection_or_another_folder_knows_nothing(looking: Looking) -> None:
    looking.world.select(Selection(exclude=("b",)))
    await looking.have("ac")
    await looking.scan(part("abc"))
    looking.world.select(Selection())
    await looking.scan(part("abc"))
    assert looking.source.named == frozenset()
    assert looking.found() == [(ChangeKind.NEW, b"b")]
    await looking.have("b")
    await looking.scan(part("abc"))
    await looking.scan(folders=[b"elsewhere"])
    assert looking.source.named == frozenset()


async def test_another_store_knows_nothing() -> None:
    looking = Looking()
    await learned(looking, "abc")
    looking.store = MemoryStore()
    await looking.scan(part("abc"))
    assert looking.source.named == frozenset()
    assert len(looking.changes) == 3


async def test_rows_that_do_not_belong_to_the_listed_folders_do_not_matter(looking: Looking) -> None:
    rows = [row(entry(name)) for name in ("a/1", "b/1", "c/1")]
    await looking.store.manifest.record(looking.name, rows[1:])
    listed = ListingPart((entry("a/1"), entry("c/1")), digest=b"ac")
    await looking.scan(listed, folders=[b"a", b"c"])
    await looking.store.manifest.record(looking.name, rows[:1])
    scan = await looking.scan(same("ac"), folders=[b"a", b"c"])
    assert looking.source.named == {b"ac"}
    assert (scan.plan.listed, scan.plan.remembered) == (2, 2)


# --- rows that are written to ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["record", "restat", "mark", "forget", "forget all"])
async def test_a_part_whose_rows_changed_is_not_named(looking: Looking, how: str) -> None:
    await learned(looking, "abc", "def")
    manifest, path = looking.store.manifest, source_path(b"b")
    match how:
        case "record":
            await manifest.record(looking.name, [row(Entry(path, Stat(5, 5)))])
        case "restat":
            await manifest.restat(looking.name, [(path, Stat(1, 5))])
        case "mark":
            await manifest.mark(looking.name, [path], AtSource.REMOVED)
        case _:
            await manifest.forget(looking.name, [path] if how == "forget" else None)
    await looking.scan(part("abc"), part("def"))
    assert looking.source.named == (set() if how == "forget all" else {b"def"})
    assert (looking.found()[0][1]) == (b"a" if how == "forget all" else b"b")


async def test_a_part_whose_rows_were_written_to_as_they_were_is_proven_by_them(looking: Looking) -> None:
    await learned(looking, "abc", "def")
    await looking.store.manifest.entomb(looking.name, [source_path(b"b")], 1)
    await looking.have("e")
    scan = await looking.scan(same("abc"), same("def"))
    assert looking.source.named == {b"abc", b"def"}
    assert scan.plan.remembered == 6


async def test_after_more_than_the_journal_holds_the_rows_decide(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    await learned(looking, "abc", "def")
    await looking.store.manifest.forget(looking.name)
    await looking.have("abcdf")
    await looking.scan(same("abc"), part("def"))
    assert looking.source.named == {b"abc"}
    assert looking.found() == [(ChangeKind.NEW, b"e")]


async def test_what_was_written_before_a_part_only_opens_the_gap(looking: Looking) -> None:
    await learned(looking, "abc", "fgh")
    await looking.have("de")
    read: list[object] = []
    _listen(looking, "outlines", read)
    scan = await looking.scan(same("abc"), same("fgh"))
    assert looking.source.named == {b"abc", b"fgh"}
    assert scan.vanished() == [b"d", b"e"]
    assert read[0] == ("outlines", b"c", b"e")  # no row of a part was read to prove it


class WrittenMeanwhile:
    """Something writes into the manifest between two parts of a listing."""

    def __init__(self, looking: Looking, *names: str) -> None:
        self._looking, self._names = looking, names

    async def scan(self, *items: Item) -> Scan:
        looking, inner = self._looking, self._looking.source.list

        async def interrupted(folders: Sequence[SourcePath], known: Collection[bytes]) -> AsyncGenerator[object, None]:
            async for number, item in _numbered(inner(folders, known)):
                if number == 1:
                    await looking.store.manifest.forget(looking.name, [source_path(name.encode()) for name in self._names])
                yield item

        looking.source.list = interrupted  # type: ignore[method-assign, assignment]
        scan = await looking.scan(*items)
        looking.source.list = inner  # type: ignore[method-assign]
        return scan


async def _numbered(items: AsyncGenerator[ListingPart | SamePart | ListingEnd, None]) -> AsyncGenerator[tuple[int, object], None]:
    number = 0
    async for item in items:
        yield number, item
        number += 1


async def test_a_part_whose_rows_are_written_to_while_it_is_listed_is_not_known_any_more(looking: Looking) -> None:
    await learned(looking, "abc", "def", "ghi")
    scan = await WrittenMeanwhile(looking, "b", "e").scan(same("abc"), same("def"), same("ghi"))
    assert scan.error is None
    assert (scan.plan.listed, scan.plan.remembered) == (9, 9)
    await looking.scan(part("abc"), part("def"), same("ghi"))
    assert looking.source.named == {b"ghi"}
    assert looking.found() == [(ChangeKind.NEW, b"b"), (ChangeKind.NEW, b"e")]


async def test_a_part_whose_rows_were_written_to_before_it_was_compared_is_proven_once_more(looking: Looking) -> None:
    await looking.have("abcdef")
    await WrittenMeanwhile(looking, "e").scan(part("abc"), part("def"))
    assert looking.found() == [(ChangeKind.NEW, b"e")]
    await looking.have("e")
    await looking.scan(same("abc"), same("def"))
    assert looking.source.named == {b"abc", b"def"}


# --- listings that break ----------------------------------------------------------------------------------------------------


async def test_a_listing_that_broke_keeps_what_was_known_and_adds_what_it_saw(looking: Looking) -> None:
    await learned(looking, "abc", "def")
    await looking.have("gh")
    scan = await looking.scan(same("abc"), SourceLost("cut"))
    assert not scan.summary.complete
    assert scan.vanished() == []
    await looking.scan(part("abc"), part("de"), SourceLost("cut"))
    assert looking.source.named == {b"abc", b"def"}
    scan = await looking.scan(same("abc"), same("def"), part("gh"))
    assert looking.source.named == {b"abc", b"def", b"de"}
    assert scan.error is None
    await looking.scan()
    assert looking.source.named == {b"abc", b"def", b"gh"}  # all of the last complete one, and only that


async def test_what_a_complete_listing_did_not_show_is_forgotten(looking: Looking) -> None:
    await learned(looking, "abc", "def")
    await looking.scan(same("abc"))
    await looking.scan(same("abc"))
    assert looking.source.named == {b"abc"}


async def test_problems_are_never_known(looking: Looking) -> None:
    await looking.have("abc")
    closed = (Problem(b"b2", ProblemKind.UNREADABLE, "permission denied"),)
    for _ in range(2):
        scan = await looking.scan(replace(part("abc"), problems=closed))
        assert looking.source.named == frozenset()
        assert scan.summary.unknown == {b"b2"}


async def test_no_more_parts_are_known_than_memory_allows(looking: Looking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MOST_PARTS", 2)
    await learned(looking, "a", "b", "c", "d")
    await looking.scan(same("a"), same("b"), part("c"), part("d"))
    assert looking.source.named == {b"a", b"b"}


# --- a box that lies --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "items",
    [
        (same("def"), same("abc")),
        (same("abc"), same("abc")),
        (same("abc"), part("abc")),
        (same("def"), part("c")),
        (part("ac"), same("abc")),
        (part("f"), same("def")),
        (same("abc"), same("xyz")),
        (same("abc"), SamePart(b"")),
    ],
    ids=["reversed", "twice", "same and shown", "shown too late", "shown over it", "one path twice", "never named", "empty"],
)
async def test_parts_out_of_order_or_never_named_end_it(looking: Looking, items: Sequence[Item]) -> None:
    await learned(looking, "abc", "def")
    scan = await looking.scan(*items)
    assert isinstance(scan.error, SourceBroken)
    assert not scan.summary.complete
    assert scan.vanished() == []
    scan = await looking.scan(part("abc"), part("def"))
    assert looking.source.named == frozenset()  # whoever was wrong: it begins anew
    assert scan.error is None


@pytest.mark.parametrize("files", [0, 5, 7])
async def test_a_listing_whose_files_do_not_add_up_is_not_complete(looking: Looking, files: int) -> None:
    await learned(looking, "abc", "def")
    scan = await looking.scan(same("abc"), part("def"), files=files)
    assert isinstance(scan.error, SourceBroken)
    assert not scan.summary.complete


async def test_a_part_is_left_out_only_for_who_knows_it(looking: Looking) -> None:
    looking.source.items = (same("abc"), ListingEnd(3, 0))
    scan = Scan(looking.doors(), ())
    assert [change async for change in scan.changes()] == []
    assert isinstance(scan.error, SourceBroken)


# --- through the whole round ------------------------------------------------------------------------------------------------


async def test_rounds_after_the_first_do_not_hear_of_what_they_brought() -> None:
    world = World()
    for n in range(300):
        world.box.write(b"%d/%03d" % (n % 3, n), b"x")
    world.age()
    await world.round()
    for _ in range(2):
        await world.round()
        assert not world.looks.known._named
        assert sum(known.entries for known in world.looks.known._seen.values()) == 300
        (ended,) = [fact for fact in world.facts.seen if isinstance(fact, ScanEnded)]
        assert (ended.plan.listed, ended.plan.remembered, ended.summary.files) == (300, 300, 300)
    assert all(part.sure for part in world.looks.known._seen.values())
