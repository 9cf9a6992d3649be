"""The promises of `destination.base.Destination` and `model.transfer.Sink`. Every body is held to this one suite."""

from __future__ import annotations

import asyncio
import hashlib
import random
from contextlib import aclosing

import pytest
from msgspec.structs import replace

from forged.destination.base import Destination, HomeLook
from forged.model.errors import DestinationMissing, MarkerMissing, SourceBroken
from forged.model.files import Problem, ProblemKind
from forged.model.paths import home_path
from forged.model.transfer import Landed, LandedAs, Piece, Receipt, Wholeness
from tests.destination.contract_beside import BesidesContract, House
from tests.destination.places import MTIME_NS, landing, pieces, pour, request


class DestinationContract(BesidesContract):
    """Subclasses bring a fixture `house`, and `ready` is called for them."""

    @pytest.fixture
    async def home(self, house: House) -> Destination:
        await house.destination.ready(None)
        return house.destination

    # --- being there ------------------------------------------------------------------------------------------------------

    async def test_nothing_is_asked_of_a_destination_before_it_was_looked_at(self, house: House) -> None:
        with pytest.raises(DestinationMissing):
            await house.destination.look([home_path(b"a.png")])
        with pytest.raises(DestinationMissing):
            await pour(house.destination, (b"a.png", b"pixels"))

    async def test_a_destination_keeps_its_id(self, house: House) -> None:
        first = await house.destination.ready(None)
        assert (await house.destination.ready(None)).id == first.id
        assert (await house.destination.ready(first.id)).id == first.id

    async def test_one_that_was_used_before_has_to_have_a_marker_whichever_it_is(self, house: House) -> None:
        with pytest.raises((MarkerMissing, DestinationMissing)):
            await house.destination.ready(None, may_be_new=False)
        with pytest.raises(DestinationMissing):
            await house.destination.look([home_path(b"a.png")])
        first = await house.destination.ready(None)
        assert (await house.destination.ready(None, may_be_new=False)).id == first.id

    async def test_where_no_file_is_nobody_can_say_whether_it_is_whole(self, home: Destination) -> None:
        assert await home.inspect(home_path(b"a.png")) is Wholeness.UNKNOWN

    async def test_another_destination_in_its_place_is_refused(self, house: House, home: Destination) -> None:
        known_id = (await home.ready(None)).id
        house.exchange()
        with pytest.raises(MarkerMissing):
            await home.ready(known_id)

    async def test_an_exchange_in_the_middle_of_a_round_is_noticed_by_every_method(self, house: House, home: Destination) -> None:
        (receipt,) = await pour(home, (b"a.png", b"pixels"))
        house.exchange()
        with pytest.raises(MarkerMissing):
            await home.look([home_path(b"a.png")])
        with pytest.raises(MarkerMissing):
            await home.land([landing(receipt)])
        with pytest.raises(MarkerMissing):
            await pour(home, (b"b.png", b"pixels"))
        with pytest.raises(MarkerMissing):
            await home.sweep(())

    async def test_an_exchange_while_a_sink_is_open_is_noticed_by_its_next_write(self, house: House, home: Destination) -> None:
        one, two = pieces(request(b"a.png", b"pixels"), b"pixels", 3)
        async with aclosing(home.sink()) as sink:
            await sink.reserve(6)
            await sink.write([one])
            house.exchange()
            with pytest.raises(MarkerMissing):
                await sink.write([two])

    # --- pouring ----------------------------------------------------------------------------------------------------------

    async def test_what_is_poured_is_hashed(self, home: Destination) -> None:
        receipts = await pour(home, (b"a.png", b"pixels"), (b"b.png", b""), (b"c.png", bytes(3 << 20)))
        assert [r.staged.sha256 for r in receipts] == [hashlib.sha256(d).digest() for d in (b"pixels", b"", bytes(3 << 20))]
        assert [r.staged.size_bytes for r in receipts] == [6, 0, 3 << 20]

    async def test_chunks_of_a_piece_are_joined_in_order(self, home: Destination) -> None:
        wanted = request(b"a.png", b"onetwothree")
        async with aclosing(home.sink()) as sink:
            await sink.reserve(11)
            (done,) = await sink.write([Piece(wanted, 0, (b"one", b"two", b"three"), last=True)])
        assert done.sha256 == hashlib.sha256(b"onetwothree").digest()

    async def test_a_file_is_answered_by_the_write_that_completes_it_and_no_other(self, home: Destination) -> None:
        data = random.Random(1).randbytes(5000)
        wanted = request(b"a.png", data)
        async with aclosing(home.sink()) as sink:
            await sink.reserve(len(data))
            for piece in pieces(wanted, data, 1000)[:-1]:
                assert await sink.write([piece]) == []
            assert len(await sink.write(pieces(wanted, data, 1000)[-1:])) == 1

    @pytest.mark.parametrize("seed", range(8))
    async def test_pieces_may_come_in_any_order(self, home: Destination, house: House, seed: int) -> None:
        chance = random.Random(seed)
        data = chance.randbytes(20_000)
        wanted = request(b"a.png", data)
        shuffled = pieces(wanted, data, 1500)
        chance.shuffle(shuffled)
        async with aclosing(home.sink()) as sink:
            await sink.reserve(len(data))
            staged = [done for piece in shuffled for done in await sink.write([piece])]
        assert staged[0].sha256 == hashlib.sha256(data).digest()
        await home.land([landing(Receipt(wanted.entry, staged[0]))])
        assert house.get(b"a.png") == data
        assert house.staged() == 0

    async def test_a_file_whose_end_comes_first_is_answered_when_its_gap_closes(self, home: Destination) -> None:
        data = random.Random(1).randbytes(3000)
        first, middle, last = pieces(request(b"a.png", data), data, 1000)
        end = Piece(first.request, 3000, (), last=True)
        async with aclosing(home.sink()) as sink:
            await sink.reserve(len(data))
            assert await sink.write([replace(last, last=False), end]) == []
            assert await sink.write([first]) == []
            (done,) = await sink.write([middle])
        assert done.sha256 == hashlib.sha256(data).digest()

    async def test_another_attempt_in_the_same_sink_may_begin_with_any_piece(self, home: Destination) -> None:
        data = random.Random(1).randbytes(3000)
        async with aclosing(home.sink()) as sink:
            await sink.reserve(2 * len(data))
            await sink.write(pieces(request(b"a.png", data), data, 1000)[1:])
            first, middle, last = pieces(request(b"a.png", data), data, 1000)
            assert await sink.write([middle, last]) == []
            (done,) = await sink.write([first])
            sink.refund(1000)
        assert done.sha256 == hashlib.sha256(data).digest()

    async def test_bytes_that_come_twice_are_refused(self, home: Destination) -> None:
        data = bytes(3000)
        parts = pieces(request(b"a.png", data), data, 1000)
        async with aclosing(home.sink()) as sink:
            await sink.reserve(4000)
            await sink.write(parts[:2])
            with pytest.raises(SourceBroken):
                await sink.write([parts[1]])

    async def test_every_way_out_of_a_write_leaves_reservations_even(self, home: Destination, house: House) -> None:
        data = bytes(3000)
        parts = pieces(request(b"a.png", data), data, 1000)
        async with aclosing(home.sink()) as sink:
            await sink.reserve(5000)
            assert house.budget.held_bytes == 5000
            await sink.write(parts[:2])
            assert house.budget.held_bytes == 3000
            with pytest.raises(SourceBroken):
                await sink.write([parts[1]])
            sink.refund(1000)
            assert house.budget.held_bytes == 1000
            with pytest.raises(SourceBroken):
                await sink.write([parts[1]])
            assert house.budget.held_bytes == 0

    async def test_a_cancelled_write_gives_its_reservation_back(self, home: Destination, house: House) -> None:
        data = bytes(1 << 20)
        wanted = request(b"a.png", data)
        sink = home.sink()
        await sink.reserve(len(data))
        task = asyncio.create_task(sink.write(pieces(wanted, data)))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await sink.aclose()
        await asyncio.sleep(0)
        assert house.budget.held_bytes == 0

    async def test_a_reservation_waits_for_room(self, home: Destination, house: House) -> None:
        sink = home.sink()
        await sink.reserve(house.budget.total_bytes)
        waiting = asyncio.create_task(sink.reserve(1))
        await asyncio.sleep(0.01)
        assert not waiting.done()
        sink.refund(house.budget.total_bytes)
        await waiting
        sink.refund(1)
        await sink.aclose()

    # --- resuming ---------------------------------------------------------------------------------------------------------

    async def _begin(self, home: Destination, data: bytes, only: list[int]) -> int:
        """Pours some of the ten pieces of `data`; answers the resume point."""
        wanted = request(b"big.mp4", data)
        async with aclosing(home.sink()) as sink:
            parts = pieces(wanted, data, len(data) // 10)
            for number in only:
                await sink.reserve(parts[number].size_bytes)
                await sink.write([parts[number]])
        return (await home.resume_points([wanted.staging]))[0]

    async def test_nothing_staged_resumes_at_zero(self, home: Destination) -> None:
        assert list(await home.resume_points(["0" * 32, "1" * 32])) == [0, 0]

    @pytest.mark.parametrize(
        ("only", "beginning"),
        [([0, 1, 2], 300), ([1, 2], 0), ([0, 2, 3], 100), ([0, 2, 1, 4], 300), ([9, 0], 100), ([5, 0, 1, 2, 3, 4], 600)],
    )
    async def test_the_resume_point_is_never_more_than_the_unbroken_beginning(
        self, home: Destination, only: list[int], beginning: int
    ) -> None:
        assert await self._begin(home, random.Random(2).randbytes(1000), only) == beginning

    @pytest.mark.parametrize("only", [[0, 1, 2], [0, 2, 3], [9, 0, 1], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]])
    async def test_a_resumed_file_is_whole_and_its_hash_covers_all(self, home: Destination, house: House, only: list[int]) -> None:
        data = random.Random(3).randbytes(1000)
        wanted = request(b"big.mp4", data, await self._begin(home, data, only))
        async with aclosing(home.sink()) as sink:
            await sink.reserve(len(data) - wanted.offset_bytes)
            (done,) = await sink.write(pieces(wanted, data, 70))
        assert done.sha256 == hashlib.sha256(data).digest()
        assert done.size_bytes == 1000
        await home.land([landing(Receipt(wanted.entry, done))])
        assert house.get(b"big.mp4") == data

    async def test_an_attempt_from_the_start_drops_what_was_staged(self, home: Destination) -> None:
        data = random.Random(4).randbytes(1000)
        await self._begin(home, b"x" * 1000, [0, 1, 2, 5])
        wanted = request(b"big.mp4", b"x" * 1000)
        async with aclosing(home.sink()) as sink:
            await sink.reserve(1000)
            (done,) = await sink.write(pieces(wanted, data, 300))
        assert done.sha256 == hashlib.sha256(data).digest()

    async def test_what_an_earlier_attempt_left_beyond_a_hole_never_counts_for_a_later_one(self, home: Destination) -> None:
        data = random.Random(6).randbytes(1000)
        assert await self._begin(home, data, [0, 5]) == 100
        assert await self._begin(home, data, [0, 1]) == 200

    async def test_the_same_sink_takes_a_second_attempt(self, home: Destination) -> None:
        data = random.Random(5).randbytes(1000)
        wanted = request(b"big.mp4", data)
        async with aclosing(home.sink()) as sink:
            await sink.reserve(1300)
            await sink.write(pieces(wanted, data, 300)[:1])
            (done,) = await sink.write(pieces(wanted, data, 300))
        assert done.sha256 == hashlib.sha256(data).digest()

    async def test_discarded_files_are_forgotten_and_missing_ones_are_fine(self, home: Destination, house: House) -> None:
        data = bytes(1000)
        await self._begin(home, data, [0, 3])
        staging = request(b"big.mp4", data).staging
        await home.discard([staging, "0" * 32])
        assert list(await home.resume_points([staging])) == [0]
        assert house.staged() == 0

    async def test_a_sweep_leaves_only_what_is_to_be_kept(self, home: Destination, house: House) -> None:
        kept, *_ = await pour(home, (b"a.png", b"a"), (b"b.png", b"b"), (b"c.png", b"c"))
        assert await home.sweep({kept.staged.staging}) == 2
        assert list(await home.resume_points([kept.staged.staging])) == [1]
        assert await home.sweep(()) == 1
        assert house.staged() == 0

    # --- landing ----------------------------------------------------------------------------------------------------------

    async def test_a_staged_file_lands_under_its_name_with_the_mtime_of_its_source(self, home: Destination, house: House) -> None:
        (receipt,) = await pour(home, (b"2024/x/a.png", b"pixels"))
        answer = await home.land([landing(receipt)])
        assert answer == [Landed(receipt.entry, home_path(b"2024/x/a.png"), receipt.staged.sha256, LandedAs.NEW)]
        assert house.get(b"2024/x/a.png") == b"pixels"
        assert list(await home.look([home_path(b"2024/x/a.png")])) == [HomeLook(6, MTIME_NS)]
        assert house.staged() == 0

    async def test_an_incomplete_file_lands_marked(self, home: Destination) -> None:
        (receipt,) = await pour(home, (b"a.png", b"half"))
        (landed,) = await home.land([landing(Receipt(receipt.entry, receipt.staged, incomplete=True))])
        assert isinstance(landed, Landed)
        assert landed.incomplete

    async def test_a_batch_is_answered_in_the_order_asked(self, home: Destination) -> None:
        files = [(b"%d/%d.png" % (n % 3, n), b"%d" % n) for n in range(300)]
        answers = await home.land([landing(receipt) for receipt in await pour(home, *files)])
        assert [answer.home for answer in answers if isinstance(answer, Landed)] == [path for path, _ in files]

    async def test_of_two_that_want_one_name_the_first_asked_gets_it(self, home: Destination, house: House) -> None:
        one, between, two = await pour(home, (b"x/one.png", b"one"), (b"y/a.png", b"a"), (b"x/two.png", b"two"))
        answers = await home.land([landing(one, b"x/a.png"), landing(between), landing(two, b"x/a.png")])
        assert [answer.how for answer in answers if isinstance(answer, Landed)] == [LandedAs.NEW, LandedAs.NEW, LandedAs.VERSION]
        assert house.get(b"x/a.png") == b"one"

    async def test_equal_content_at_home_is_adopted(self, home: Destination, house: House) -> None:
        house.put(b"a.png", b"pixels")
        (receipt,) = await pour(home, (b"a.png", b"pixels"))
        (landed,) = await home.land([landing(receipt)])
        assert isinstance(landed, Landed)
        assert (landed.how, landed.home) == (LandedAs.ADOPTED, b"a.png")
        assert house.names() == {b"a.png"}
        assert house.staged() == 0

    async def test_other_content_at_home_is_never_overwritten(self, home: Destination, house: House) -> None:
        house.put(b"a.png", b"owner!")
        (receipt,) = await pour(home, (b"a.png", b"pixels"))
        (landed,) = await home.land([landing(receipt)])
        version = b"a~" + hashlib.sha256(b"pixels").hexdigest()[:8].encode() + b".png"
        assert isinstance(landed, Landed)
        assert (landed.how, landed.home) == (LandedAs.VERSION, version)
        assert (house.get(b"a.png"), house.get(version)) == (b"owner!", b"pixels")

    async def test_a_version_that_is_already_there_is_adopted(self, home: Destination, house: House) -> None:
        version = b"a~" + hashlib.sha256(b"pixels").hexdigest()[:8].encode() + b".png"
        house.put(b"a.png", b"owner")
        house.put(version, b"pixels")
        (receipt,) = await pour(home, (b"a.png", b"pixels"))
        (landed,) = await home.land([landing(receipt)])
        assert isinstance(landed, Landed)
        assert (landed.how, landed.home) == (LandedAs.ADOPTED, version)

    async def test_a_version_name_taken_by_other_content_makes_it_try_the_next(self, home: Destination, house: House) -> None:
        digits = hashlib.sha256(b"pixels").hexdigest()
        house.put(b"a.png", b"owner")
        house.put(b"a~" + digits[:8].encode() + b".png", b"a coincidence")
        (receipt,) = await pour(home, (b"a.png", b"pixels"))
        (landed,) = await home.land([landing(receipt)])
        assert isinstance(landed, Landed)
        assert landed.home == b"a~" + digits[:16].encode() + b".png"

    async def test_when_every_name_is_taken_it_is_a_problem_and_the_others_land(self, home: Destination, house: House) -> None:
        stuck, fine = await pour(home, (b"a.png", b"pixels"), (b"b.png", b"pixels too"))
        for name in (b"a.png", *landing(stuck).versions):
            house.put(name, b"owner")
        problem, landed = await home.land([landing(stuck), landing(fine)])
        assert isinstance(problem, Problem)
        assert problem.kind is ProblemKind.HOME
        assert isinstance(landed, Landed)

    async def test_landing_again_after_a_crash_ends_in_the_same_place(self, home: Destination, house: House) -> None:
        house.put(b"b.png", b"owner")
        receipts = await pour(home, (b"a.png", b"pixels"), (b"b.png", b"other"))
        first = await home.land([landing(receipt) for receipt in receipts])
        again = await home.land([landing(receipt) for receipt in receipts])
        assert [x.home for x in first if isinstance(x, Landed)] == [x.home for x in again if isinstance(x, Landed)]
        assert [x.how for x in again if isinstance(x, Landed)] == [LandedAs.ADOPTED] * 2
        assert len(house.names()) == 3

    async def test_a_receipt_whose_bytes_are_gone_is_a_problem(self, home: Destination) -> None:
        (receipt,) = await pour(home, (b"a.png", b"pixels"))
        await home.discard([receipt.staged.staging])
        (problem,) = await home.land([landing(receipt)])
        assert isinstance(problem, Problem)

    async def test_the_same_content_twice_in_one_batch_lands_once(self, home: Destination, house: House) -> None:
        one, two = await pour(home, (b"a.png", b"pixels"), (b"b.png", b"pixels"))
        first, second = await home.land([landing(one, b"same.png"), landing(two, b"same.png")])
        assert isinstance(first, Landed)
        assert isinstance(second, Landed)
        assert (first.how, second.how) == (LandedAs.NEW, LandedAs.ADOPTED)
        assert house.names() == {b"same.png"}

    async def test_many_landings_at_once_under_one_name_lose_nothing(self, home: Destination, house: House) -> None:
        receipts = await pour(home, *[(b"%d.png" % n, b"content %d" % n) for n in range(40)])
        answers = await asyncio.gather(*(home.land([landing(receipt, b"same.png")]) for receipt in receipts))
        homes = {answer.home for (answer,) in answers if isinstance(answer, Landed)}
        assert homes == house.names()
        assert {house.get(name) for name in homes} == {b"content %d" % n for n in range(40)}

    # --- mutable files ----------------------------------------------------------------------------------------------------

    async def test_a_mutable_file_is_replaced_while_home_is_what_forged_put_there(self, home: Destination, house: House) -> None:
        house.put(b"log.html", b"one")
        (receipt,) = await pour(home, (b"log.html", b"one and two"))
        (landed,) = await home.land([landing(receipt, replaces=hashlib.sha256(b"one").digest())])
        assert isinstance(landed, Landed)
        assert landed.how is LandedAs.REPLACED
        assert house.get(b"log.html") == b"one and two"
        assert house.names() == {b"log.html"}

    async def test_a_mutable_file_that_the_owner_changed_is_left_alone(self, home: Destination, house: House) -> None:
        house.put(b"log.html", b"my notes")
        (receipt,) = await pour(home, (b"log.html", b"one and two"))
        (landed,) = await home.land([landing(receipt, replaces=hashlib.sha256(b"one").digest())])
        assert isinstance(landed, Landed)
        assert landed.how is LandedAs.VERSION
        assert house.get(b"log.html") == b"my notes"

    async def test_a_log_goes_on_from_what_a_killed_forged_had_replaced(self, home: Destination, house: House) -> None:
        house.put(b"log.html", b"one and two")  # of which nobody knows: the memory says "one"
        (receipt,) = await pour(home, (b"log.html", b"one and two and three"))
        asked = replace(landing(receipt, replaces=hashlib.sha256(b"one").digest()), replaces_bytes=3)
        (landed,) = await home.land([asked])
        assert isinstance(landed, Landed)
        assert (landed.how, house.get(b"log.html")) == (LandedAs.REPLACED, b"one and two and three")
        assert house.names() == {b"log.html"}

    @pytest.mark.parametrize("owners", [b"", b"on", b"one and mine", b"one and two and three, and mine"])
    async def test_a_log_does_not_go_on_from_what_its_owner_made(self, home: Destination, house: House, owners: bytes) -> None:
        house.put(b"log.html", owners)
        (receipt,) = await pour(home, (b"log.html", b"one and two and three"))
        asked = replace(landing(receipt, replaces=hashlib.sha256(b"one").digest()), replaces_bytes=3)
        (landed,) = await home.land([asked])
        assert isinstance(landed, Landed)
        assert (landed.how, house.get(b"log.html")) == (LandedAs.VERSION, owners)

    async def test_replacing_again_after_a_crash_adopts(self, home: Destination, house: House) -> None:
        house.put(b"log.html", b"one")
        (receipt,) = await pour(home, (b"log.html", b"one and two"))
        asked = [landing(receipt, replaces=hashlib.sha256(b"one").digest())]
        await home.land(asked)
        (landed,) = await home.land(asked)
        assert isinstance(landed, Landed)
        assert (landed.how, landed.home) == (LandedAs.ADOPTED, b"log.html")
        assert house.names() == {b"log.html"}

    # --- looking at home --------------------------------------------------------------------------------------------------

    async def test_looking_and_hashing_answer_none_where_nothing_is(self, home: Destination, house: House) -> None:
        house.put(b"x/a.png", b"pixels")
        looks = await home.look([home_path(p) for p in (b"x/a.png", b"x/b.png", b"y/a.png", b"x/a.png/deeper", b"x")])
        assert [look.size_bytes if look else None for look in looks] == [6, None, None, None, None]
        assert await home.hash(home_path(b"x/a.png")) == hashlib.sha256(b"pixels").digest()
        assert await home.hash(home_path(b"x/b.png")) is None

    async def test_the_room_at_home_is_told(self, home: Destination) -> None:
        room_bytes, free_bytes = await home.room_bytes(), await home.free_space_bytes()
        assert 1_000_000 < room_bytes <= free_bytes + 100_000_000  # others write meanwhile

    async def test_confirming_files_that_are_there_or_have_gone_is_fine(self, home: Destination, house: House) -> None:
        house.put(b"x/a.png", b"pixels")
        await home.confirm([home_path(b"x/a.png"), home_path(b"x/gone.png")])
        assert house.names() == {b"x/a.png"}
