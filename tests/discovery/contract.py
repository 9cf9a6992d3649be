"""The contract of a discovery as tests: every sentence of `discovery/base.py`, for every body.

A body subclasses `DiscoveryContract` and gives a fixture `desk`. The tests change what is there by hand, and ask.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from forged.discovery.base import MOST_BOXES, Discovery
from forged.discovery.trying import tried
from forged.model.boxes import Box, BoxId, BoxState
from forged.model.errors import DiscoveryError
from tests.discovery.desks import KEY, SECRETS, Desk, Odd, Trouble, box

HOUR_NS = 3_600_000_000_000
END_NS = 1_800_000_000 * 1_000_000_000


class DiscoveryContract:
    """Subclassed by each body with a fixture `desk`."""

    @pytest.fixture
    async def discovery(self, desk: Desk) -> AsyncIterator[Discovery]:
        made = desk.discovery()
        yield made
        await made.aclose()

    async def test_none_is_an_answer_when_it_is_said(self, desk: Desk, discovery: Discovery) -> None:
        assert await discovery.boxes() == ()

    async def test_all_boxes_come_in_the_order_of_their_ids(self, desk: Desk, discovery: Discovery) -> None:
        states = [BoxState.RUNNING, BoxState.STARTING, BoxState.STOPPED, BoxState.UNKNOWN]
        desk.there.boxes = [box(str(900 - number), states[number % 4], label=f"studio {number}") for number in range(60)]
        boxes = await discovery.boxes()
        assert [replace(one, why="") for one in boxes] == sorted(desk.there.boxes, key=lambda one: one.id)

    async def test_what_has_no_address_says_why(self, desk: Desk, discovery: Discovery) -> None:
        desk.there.boxes = [box("1"), box("2", BoxState.STARTING), box("3", BoxState.STOPPED), box("4", BoxState.UNKNOWN)]
        for one in await discovery.boxes():
            assert bool(one.why) is not bool(one.addresses)
            assert bool(one.addresses) is (one.state in (BoxState.RUNNING, BoxState.UNKNOWN))

    async def test_each_question_is_a_new_one(self, desk: Desk, discovery: Discovery) -> None:
        desk.there.boxes = [box("1"), box("2")]
        assert len(await discovery.boxes()) == 2
        desk.there.boxes = [replace(box("2"), addresses=box("77").addresses)]
        [moved] = await discovery.boxes()
        assert moved.addresses == box("77").addresses
        desk.there.boxes = []
        assert await discovery.boxes() == ()

    async def test_when_it_ends(self, desk: Desk, discovery: Discovery) -> None:
        desk.there.boxes = [box("1", end_ns=END_NS), box("2")]
        assert [one.end_ns for one in await discovery.boxes()] == [END_NS if desk.tells_ends else None, None]

    async def test_only_boxes_of_the_label_come(self, desk: Desk) -> None:
        labels = [None, "", "forge", "Forge", "forge 2", "forge", "ünï"]
        desk.there.boxes = [box(str(number), label=label) for number, label in enumerate(labels, 1)]
        for label, ids in (("forge", ["3", "6"]), ("ünï", ["7"]), ("other", [])):
            discovery = desk.discovery(label)
            assert [one.id for one in await discovery.boxes()] == ids
            await discovery.aclose()

    async def test_labels_are_cleaned_and_bounded(self, desk: Desk, discovery: Discovery) -> None:
        desk.there.boxes = [box("1", label="\x1b[2Jred\u202e\n\x00"), box("2", label="x" * 10_000)]
        first, second = await discovery.boxes()
        assert first.label is not None and first.label.isprintable() and "red" in first.label
        assert second.label is not None and len(second.label) <= 200

    @pytest.mark.parametrize("trouble", [trouble for trouble in Trouble if trouble is not Trouble.HANGS])
    async def test_no_answer_is_an_error_and_never_none(self, trouble: Trouble, desk: Desk, discovery: Discovery) -> None:
        desk.there.boxes = [box("1"), box("2")]
        desk.there.trouble = trouble
        with pytest.raises(DiscoveryError) as error:
            await discovery.boxes()
        assert error.value.message.isprintable()
        assert len(error.value.message) < 600
        assert error.value.hint
        desk.there.trouble = None
        assert len(await discovery.boxes()) == 2

    async def test_a_question_ends_within_its_deadline(self, desk: Desk) -> None:
        desk.there.boxes = [box("1")]
        desk.there.trouble = Trouble.HANGS
        discovery = desk.discovery(hasty=True)
        with pytest.raises(DiscoveryError):
            await discovery.boxes()
        await discovery.aclose()

    @pytest.mark.parametrize(
        "id",
        ["", "../../etc", "a/b", "x" * 10_000, "a b", "-rf", ".", "a\nb", "\x1b[31m", "ü", "a\x00b"],
        ids=lambda id: repr(id)[:20],
    )
    async def test_a_bad_id_voids_the_answer(self, id: str, desk: Desk, discovery: Discovery) -> None:
        desk.there.boxes = [box("1"), replace(box("2"), id=BoxId(id))]
        with pytest.raises(DiscoveryError) as error:
            await discovery.boxes()
        assert error.value.message.isprintable()
        assert len(error.value.message) < 600

    @pytest.mark.parametrize("ids", [("7", "7"), ("aB", "Ab")])
    async def test_an_id_that_comes_twice_voids_the_answer(self, ids: tuple[str, str], desk: Desk, discovery: Discovery) -> None:
        desk.there.boxes = [replace(box(str(number)), id=BoxId(id)) for number, id in enumerate(("1", *ids))]
        with pytest.raises(DiscoveryError, match="once"):
            await discovery.boxes()

    async def test_too_many_boxes_void_the_answer(self, desk: Desk, discovery: Discovery) -> None:
        desk.there.boxes = [box(str(number)) for number in range(MOST_BOXES + 1)]
        with pytest.raises(DiscoveryError):
            await discovery.boxes()

    @pytest.mark.parametrize("odd", [Odd.WRONG_KINDS, Odd.ONLY_AN_ID, Odd.BAD_ADDRESS])
    async def test_one_of_which_only_the_id_is_understood_is_there(self, odd: Odd, desk: Desk) -> None:
        desk.there.boxes, desk.there.odd = [box("1", label="forge"), box("3", label="other")], [(odd, "2")]
        discovery = desk.discovery("forge" if odd is not Odd.ONLY_AN_ID else None)
        _, second, *_ = await discovery.boxes()
        assert (second.id, second.state, second.addresses) == ("2", BoxState.UNKNOWN, ()) or odd is Odd.ONLY_AN_ID
        assert second.id == "2"
        assert second.why.isprintable() and second.why
        await discovery.aclose()

    @pytest.mark.parametrize("odd", [Odd.WITHOUT_ID, Odd.NOT_EVEN_AN_OBJECT])
    async def test_one_without_an_id_voids_the_answer(self, odd: Odd, desk: Desk, discovery: Discovery) -> None:
        desk.there.boxes, desk.there.odd = [box("1")], [(odd, "")]
        with pytest.raises(DiscoveryError):
            await discovery.boxes()

    async def test_no_secret_is_kept(self, desk: Desk, discovery: Discovery) -> None:
        desk.there.boxes, desk.there.odd = [box("1"), box("3", BoxState.STOPPED)], [(Odd.WRONG_KINDS, "2")]
        shown = repr((await discovery.boxes(), discovery, discovery.warnings()))
        assert not [hush for hush in (*SECRETS, KEY) if hush in shown]

    async def test_trying_it_answers_or_says_why_not(self, desk: Desk) -> None:
        desk.there.boxes = [box("1")]
        trial = await tried(desk.discovery())
        assert [one.id for one in trial.boxes or ()] == ["1"]
        desk.there.trouble = Trouble.FAILS
        trial = await tried(desk.discovery())
        assert trial.boxes is None and isinstance(trial.error, DiscoveryError)


def states(boxes: tuple[Box, ...]) -> dict[str, BoxState]:
    """By id."""
    return {one.id: one.state for one in boxes}
