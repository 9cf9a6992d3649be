"""What every store must do with what is found in files."""

from __future__ import annotations

from msgspec import structs

from forged.model.files import Stat
from forged.model.manifest import ManifestRow
from forged.model.media import (
    Copy,
    Examined,
    Generation,
    Known,
    Likeness,
    Lora,
    MediaInfo,
    MediaKind,
    Owed,
    RawBlock,
    ToExamine,
)
from forged.model.paths import SourcePath, home_path, source_path
from forged.store.base import Store
from tests.store.samples import COMFY, FORGE, ManifestName, event, row

A, B, C = source_path(b"a.png"), source_path(b"b.png"), source_path(b"c.png")

TOLD = MediaInfo(
    MediaKind.IMAGE,
    "png",
    width=1024,
    height=768,
    generation=Generation(
        "ComfyUI",
        prompt="a cat\n\0\x1b 🐈",
        seed=str(2**64 - 1),
        cfg=6.5,
        loras=(Lora("l", -0.5),),
        origins={"seed": "png/tEXt/prompt"},
    ),
    raw=(RawBlock("png/tEXt/prompt", "{" * 50_000), RawBlock("png/tEXt/workflow", "é")),
    likeness=Likeness(bytes(range(8)), bytes(32)),
    problems=("something",),
)
PLAIN = MediaInfo(MediaKind.OTHER, "")


async def landed(store: Store, *rows: ManifestRow, name: ManifestName = FORGE) -> None:
    await store.manifest.record(name, rows, to_examine={one.path for one in rows})


async def waiting(store: Store, name: ManifestName = FORGE) -> list[bytes]:
    return [one.path for one in await store.media.waiting(name, 1_000)]


async def examine(
    store: Store, *rows: ManifestRow, info: MediaInfo = PLAIN, owes: frozenset[Owed] = frozenset(), name: ManifestName = FORGE
) -> None:
    """Lands these, and looks into all that waits."""
    await landed(store, *rows, name=name)
    await store.media.finish([Examined(one, info, 77, owes) for one in await store.media.waiting(name, 1_000)])


def like(dhash: bytes | None = None, pixels: bytes | None = None) -> MediaInfo:
    return MediaInfo(MediaKind.IMAGE, "png", likeness=Likeness(dhash, pixels))


class MediaContract:
    async def test_what_lands_to_be_examined_waits_in_the_order_of_landing(self, store: Store) -> None:
        late, early = row(b"a.png", landed_at_ns=2), row(b"b.png", landed_at_ns=1)
        odd = structs.replace(row(b"c.png", landed_at_ns=2), stat=Stat(1, 2**80, 2**64 - 1))
        await landed(store, late, early, odd)
        await store.manifest.record(FORGE, [row(b"d.png")], [event()], to_examine=frozenset())
        assert list(await store.media.waiting(FORGE, 10)) == [
            ToExamine(FORGE, early, 1),
            ToExamine(FORGE, late, 2),
            ToExamine(FORGE, odd, 2),
        ]
        assert [one.path for one in await store.media.waiting(FORGE, 1)] == [B]
        assert await store.media.waiting(FORGE, 0) == []

    async def test_manifests_wait_each_for_itself(self, store: Store) -> None:
        await landed(store, *(row(b"%05d.png" % n) for n in range(1_500)))
        await landed(store, row(b"a.png"), name=COMFY)
        assert dict(await store.media.count_waiting()) == {FORGE: 1_500, COMFY: 1}
        assert await waiting(store, COMFY) == [A]
        await store.manifest.forget(FORGE)
        assert dict(await store.media.count_waiting()) == {COMFY: 1}

    async def test_each_version_waits_by_itself_whatever_comes_after_it(self, store: Store) -> None:
        old, new = row(b"a.png", b"old"), row(b"a.png", b"newer", landed_at_ns=2_000)
        await landed(store, old, row(b"b.png"))
        (first, _) = await store.media.waiting(FORGE, 10)
        await store.media.begun([first])
        await landed(store, new)
        assert [(one.row, one.tries, one.current) for one in await store.media.waiting(FORGE, 10)] == [
            (old, 1, False),
            (row(b"b.png"), 0, True),
            (new, 0, True),
        ]
        assert dict(await store.media.count_waiting()) == {FORGE: 3}
        await store.media.finish([Examined(first, TOLD, 5)])
        assert await waiting(store) == [B, A]
        assert await store.media.info(FORGE, A) is None
        (older,) = await store.media.of_home(FORGE, old.home)
        assert older.info == TOLD

    async def test_tries_are_counted_and_can_be_taken_back(self, store: Store) -> None:
        await landed(store, row(b"a.png"), row(b"b.png"))
        files = list(await store.media.waiting(FORGE, 10))
        await store.media.begun(files)
        await store.media.begun(files[:1])
        assert [one.tries for one in await store.media.waiting(FORGE, 10)] == [2, 1]
        await store.media.put_back(files)
        assert [one.tries for one in await store.media.waiting(FORGE, 10)] == [0, 0]

    async def test_what_is_finished_waits_no_more_and_is_remembered_whole(self, store: Store) -> None:
        mine = row(b"a.png")
        await landed(store, mine, row(b"b.png"))
        (file, _) = await store.media.waiting(FORGE, 10)
        await store.media.finish([Examined(file, TOLD, 77, frozenset({Owed.SIDECAR}), (event("found"), event("twice")))])
        known = Known(FORGE, A, mine.home, mine.sha256, 77, frozenset({Owed.SIDECAR}), TOLD)
        assert await waiting(store) == [B]
        assert await store.media.info(FORGE, A) == known
        assert list(await store.media.of_home(FORGE, mine.home)) == [known]
        assert await store.media.of_home(COMFY, mine.home) == []
        assert [e.body for e in await store.outbox.after("catalog", 10)] == ["found", "twice"]

    async def test_looking_again_replaces_what_was_known(self, store: Store) -> None:
        await examine(store, row(b"a.png"), info=TOLD)
        assert await store.media.queue(FORGE, [A, A, B], 5) == 1
        assert await waiting(store) == [A]
        again = structs.replace(TOLD, problems=())
        await store.media.finish([Examined(one, again, 78) for one in await store.media.waiting(FORGE, 10)])
        known = await store.media.info(FORGE, A)
        assert known is not None
        assert (known.info, known.examined_at_ns) == (again, 78)
        assert len(await store.copies.alike(bytes(range(8)), 10)) == 1

    async def test_what_is_queued_anew_while_it_is_looked_into_waits_on(self, store: Store) -> None:
        await landed(store, row(b"a.png"), row(b"b.png"))
        files = await store.media.waiting(FORGE, 10)
        await store.media.begun(files)
        assert await store.media.queue(FORGE, [A], 5_000) == 1
        await store.media.finish([Examined(one, TOLD, 77) for one in files])
        (again,) = await store.media.waiting(FORGE, 10)
        assert (again.path, again.waits_since_ns, again.tries, again.again) == (A, 5_000, 0, True)
        await store.media.drop(files)
        assert await waiting(store) == [A]
        await landed(store, row(b"a.png", b"newer"))
        assert [(one.path, one.again) for one in await store.media.waiting(FORGE, 10)] == [(A, False), (A, True)]

    async def test_many_are_finished_in_one_go(self, store: Store) -> None:
        await landed(store, *(row(b"%05d.png" % n, b"%d" % n) for n in range(1_200)))
        await landed(store, row(b"a.png"), name=COMFY)
        files = [*await store.media.waiting(FORGE, 2_000), *await store.media.waiting(COMFY, 1)]
        infos = [like(n.to_bytes(8, "little")) for n in range(1_201)]
        await store.media.finish([Examined(file, info, n) for n, (file, info) in enumerate(zip(files, infos, strict=True))])
        assert await store.media.count_waiting() == {}
        for file, info in list(zip(files, infos, strict=True))[::300]:
            known = await store.media.info(file.manifest, file.path)
            assert known is not None
            assert known.info == info
            assert [one.copy.path for one in await store.copies.alike(info.likeness.dhash or b"", 1)] == [file.path]

    async def test_one_home_of_two_paths_is_known_for_both(self, store: Store) -> None:
        one, two = row(b"a.png", landed_at_ns=1), row(b"b.png", landed_at_ns=2)
        two = structs.replace(two, home=one.home)
        await examine(store, one, two)
        assert [known.path for known in await store.media.of_home(FORGE, one.home)] == [B, A]

    async def test_what_is_dropped_leaves_no_trace(self, store: Store) -> None:
        await landed(store, row(b"a.png"))
        files = await store.media.waiting(FORGE, 10)
        await store.media.drop(files)
        assert await waiting(store) == []
        assert await store.media.info(FORGE, A) is None
        await landed(store, row(b"a.png", b"newer"))
        await store.media.drop(files)
        assert await waiting(store) == [A]

    async def test_what_takes_a_versions_place_at_home_takes_its_place_in_the_queue(self, store: Store) -> None:
        old = row(b"a.png", b"old")
        new = structs.replace(row(b"a.png", b"newer", landed_at_ns=2_000), home=old.home)
        await landed(store, old)
        files = await store.media.waiting(FORGE, 10)
        await store.media.begun(files)
        await landed(store, new)
        assert [(one.row, one.tries) for one in await store.media.waiting(FORGE, 10)] == [(new, 0)]
        await store.media.finish([Examined(one, TOLD, 5, events=(event(),)) for one in files])
        assert [one.row for one in await store.media.waiting(FORGE, 10)] == [new]
        assert await store.outbox.after("catalog", 10) == []

    async def test_a_version_that_comes_back_waits_once(self, store: Store) -> None:
        first, second = row(b"a.png", b"one"), row(b"a.png", b"two", landed_at_ns=2_000)
        await landed(store, first, second, structs.replace(first, landed_at_ns=3_000))
        assert [one.sha256 for one in await store.media.waiting(FORGE, 10)] == [second.sha256, first.sha256]

    async def test_older_versions_are_looked_into_again_only_where_nothing_was_found_yet(self, store: Store) -> None:
        one, two, three = (
            row(b"a.png", b"one"),
            row(b"a.png", b"two", landed_at_ns=2_000),
            row(b"a.png", b"three", landed_at_ns=3_000),
        )
        await examine(store, one)
        await store.manifest.record(FORGE, [two, three])
        assert await store.media.queue(FORGE, [A, B], 5) == 2
        again = await store.media.waiting(FORGE, 10)
        assert sorted((one.sha256, one.again, one.current) for one in again) == sorted(
            [(two.sha256, False, False), (three.sha256, False, True)]
        )

    async def test_what_is_forgotten_or_deleted_at_home_is_not_examined_nor_known(self, store: Store) -> None:
        await examine(store, row(b"a.png"), row(b"b.png"), row(b"c.png"))
        await landed(store, *(row(name, b"newer") for name in (b"a.png", b"b.png", b"c.png")))
        await store.manifest.entomb(FORGE, [A], 5)
        assert await store.manifest.forget(FORGE, [B]) == 1
        assert await waiting(store) == [C]
        assert await store.media.queue(FORGE, [A, B], 5) == 0
        assert await store.media.of_home(FORGE, row(b"b.png").home) == []
        assert len(await store.media.of_home(FORGE, row(b"a.png").home)) == 1  # the older version lies there still

    async def test_a_deleted_file_is_not_known_any_more(self, store: Store) -> None:
        await examine(store, row(b"a.png"), row(b"b.png"))
        await store.manifest.entomb(FORGE, [A], 5)
        assert await store.media.info(FORGE, A) is None
        await store.manifest.forget(FORGE)
        assert await store.media.info(FORGE, B) is None

    async def test_an_older_version_waits_on_when_the_owner_deletes_the_newer(self, store: Store) -> None:
        old, new = row(b"a.png", b"old"), row(b"a.png", b"newer")
        await landed(store, old, new)
        await store.manifest.entomb(FORGE, [A], 5)
        assert [one.row for one in await store.media.waiting(FORGE, 10)] == [old]
        assert await store.media.queue(FORGE, [A], 5) == 1

    async def test_what_was_forgotten_while_it_was_examined_stays_so(self, store: Store) -> None:
        await landed(store, row(b"a.png"))
        files = await store.media.waiting(FORGE, 10)
        await store.manifest.forget(FORGE, [A])
        await store.media.finish([Examined(one, TOLD, 5, events=(event(),)) for one in files])
        assert await store.media.of_home(FORGE, row(b"a.png").home) == []
        assert await store.outbox.after("catalog", 10) == []
        await store.manifest.record(FORGE, [row(b"a.png")])
        assert await store.media.info(FORGE, A) is None

    async def test_a_log_that_is_replaced_in_its_place_is_unknown_until_it_was_looked_into(self, store: Store) -> None:
        old = row(b"a.png", b"old")
        await examine(store, old)
        await store.manifest.record(FORGE, [structs.replace(row(b"a.png", b"newer"), home=old.home)])
        assert await store.media.of_home(FORGE, old.home) == []
        assert await store.media.info(FORGE, A) is None

    async def test_what_is_owed_is_paged_and_paid(self, store: Store) -> None:
        rows = [row(b"%d.png" % n) for n in range(7)]
        await examine(store, *rows[:6], owes=frozenset({Owed.SIDECAR}))
        await examine(store, rows[6], owes=frozenset({Owed.LINK}))
        page = list(await store.media.owing(FORGE, Owed.SIDECAR, None, 4))
        rest = list(await store.media.owing(FORGE, Owed.SIDECAR, page[-1], 4))
        assert [one.path for one in (*page, *rest)] == [one.path for one in rows[:6]]
        await store.media.paid(page, Owed.LINK)
        assert len(await store.media.owing(FORGE, Owed.SIDECAR, None, 10)) == 6
        await store.media.paid(page, Owed.SIDECAR)
        assert list(await store.media.owing(FORGE, Owed.SIDECAR, None, 10)) == rest
        assert [one.path for one in await store.media.owing(FORGE, Owed.LINK, None, 10)] == [rows[6].path]
        assert await store.media.owing(COMFY, Owed.LINK, None, 10) == []

    async def test_what_another_content_owes_is_not_paid(self, store: Store) -> None:
        old = row(b"a.png", b"old")
        await examine(store, old, owes=frozenset(Owed))
        before = await store.media.owing(FORGE, Owed.LINK, None, 10)
        await examine(store, structs.replace(row(b"a.png", b"newer"), home=old.home), owes=frozenset(Owed))
        await store.media.paid(before, Owed.LINK)
        assert len(await store.media.owing(FORGE, Owed.LINK, None, 10)) == 1


class CopiesContract:
    async def test_equal_contents_are_found_over_all_manifests(self, store: Store) -> None:
        await examine(store, row(b"a.png", b"one"), row(b"b.png", b"one"), row(b"c.png", b"two"), row(b"d.png", b"three"))
        await examine(store, row(b"a.png", b"two"), name=COMFY)
        groups = list(await store.copies.equals(None, 10))
        assert sorted((one.files, one.size_bytes) for one in groups) == [(2, 3), (2, 3)]
        assert [one.sha256 for one in groups] == sorted(row(b"x", content).sha256 for content in (b"one", b"two"))
        first = list(await store.copies.equals(None, 1))
        assert first + list(await store.copies.equals(first[0].sha256, 5)) == groups

    async def test_the_files_of_a_content_are_paged(self, store: Store) -> None:
        rows = [row(b"%d.png" % n, b"one", landed_at_ns=9 - n) for n in range(5)]
        await examine(store, *rows)
        await examine(store, row(b"x.png", b"one", landed_at_ns=20), name=COMFY)
        sha256 = rows[0].sha256
        found: list[Copy] = []
        while page := await store.copies.copies(sha256, found[-1] if found else None, 2):
            found += page
        assert [(one.manifest, one.path) for one in found] == [
            (COMFY, b"x.png"),
            *((FORGE, b"%d.png" % n) for n in range(4, -1, -1)),
        ]
        assert found[0] == Copy(COMFY, SourcePath(b"x.png"), row(b"x.png", b"one").home, sha256, 3, 20)

    async def test_the_first_of_each_manifest_is_the_oldest_landing(self, store: Store) -> None:
        await examine(store, row(b"b.png", b"one", landed_at_ns=1), row(b"a.png", b"one", landed_at_ns=1))
        await examine(store, row(b"0.png", b"one", landed_at_ns=2))
        sha256 = row(b"x", b"one").sha256
        assert [one.path for one in await store.copies.firsts(sha256, [FORGE, COMFY])] == [A]
        assert await store.copies.firsts(sha256, [COMFY]) == []

    async def test_pictures_alike_are_those_within_six_bits_the_nearest_first(self, store: Store) -> None:
        wanted = 0x0123456789ABCDEF
        spread = [sum(1 << (9 * n) for n in range(bits)) for bits in range(8)]
        for bits, mask in enumerate(spread):
            await examine(store, row(b"%d.png" % bits, b"%d" % bits), info=like((wanted ^ mask).to_bytes(8, "big")))
        await examine(store, row(b"none.png", b"none"))
        found = await store.copies.alike(wanted.to_bytes(8, "big"), 100)
        assert [(one.copy.path, one.bits) for one in found] == [(b"%d.png" % bits, bits) for bits in range(7)]
        assert len(await store.copies.alike(wanted.to_bytes(8, "big"), 3)) == 3
        await store.manifest.forget(FORGE, [source_path(b"0.png")])
        assert [one.bits for one in await store.copies.alike(wanted.to_bytes(8, "big"), 2)] == [1, 2]

    async def test_pictures_of_equal_pixels_are_found(self, store: Store) -> None:
        await examine(store, row(b"a.png", b"one"), row(b"b.png", b"two"), info=like(pixels=b"p" * 32))
        await examine(store, row(b"c.png", b"three"), info=like(pixels=b"q" * 32))
        assert [one.path for one in await store.copies.same_pixels(b"p" * 32, 10)] == [A, B]
        assert home_path(b"home/c.png~three") in [one.home for one in await store.copies.same_pixels(b"q" * 32, 10)]
