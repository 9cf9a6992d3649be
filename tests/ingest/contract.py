"""The contract of an ingest handler as tests: every sentence of `ingest/base.py`, for every body.

A body subclasses `HandlerContract` and gives a fixture `receiver`: a real one, which can be told to fail, hang, die and lie.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Protocol

import pytest

from forged.ingest.base import Handler
from forged.ingest.delivery import Delivery
from forged.kit.clock import SystemClock
from forged.model.errors import IngestError
from forged.model.events import Event, EventId, EventKind, NewEvent
from forged.model.ingest import FileBody, written
from forged.model.manifest import ManifestName
from forged.model.media import Generation, Lora, MediaInfo, MediaKind, RawBlock
from forged.store.memory import MemoryStore
from tests.ingest.happened import AT_NS

PROMPTLY_S = 30.0
"""What is bounded here ends within moments; a machine under load is given this long before a test fails."""

NASTY = "\u202egnp.\x1b[2J\n\r\x00 'quoted\"; drop table files; -- \ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")


class Receiver(Protocol):
    """The other side of a handler, and the handler itself."""

    handler: Handler
    idempotent: bool
    """What comes twice is there once: tables."""

    async def taken(self) -> list[str]:
        """The homes of the files it has, in the order they came; of tables in any order."""

    async def fails(self) -> None:
        """It refuses from now on, or dies."""

    async def hangs(self) -> None:
        """It takes no end; the handler has a time limit of a second or two."""

    async def lies(self) -> None:
        """It answers rubbish, or takes and says it did not."""

    async def heals(self) -> None:
        """All is well again."""


class Moody:
    """A receiver in a process of its own, which reads from a file how it is to behave, and appends what it takes to another."""

    idempotent = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "mood").write_text("well")
        (folder / "kept").touch()

    async def fails(self) -> None:
        (self.folder / "mood").write_text("fails")

    async def hangs(self) -> None:
        (self.folder / "mood").write_text("hangs")

    async def lies(self) -> None:
        (self.folder / "mood").write_text("lies")

    async def heals(self) -> None:
        (self.folder / "mood").write_text("well")


def media(number: int, text: str = "a cat") -> MediaInfo:
    prompt = f"{text} {number}"
    made = Generation("A1111", prompt=prompt, seed=str(2**64 - 1 - number), model="sdxl", loras=(Lora("detail", 0.5),))
    raw = (RawBlock("png/tEXt/parameters", prompt), RawBlock("png/tEXt/workflow", '{"a": NaN, "b": [1e999, "\\u0000", "\\ud800"]}'))
    return MediaInfo(MediaKind.IMAGE, "png", 512, 768, generation=made, raw=raw)


def file_body(number: int, home: str | None = None, **more: object) -> FileBody:
    home = home or f"/media/studio/{number:05}.png"
    facts = {"size": number, "sha256": f"{number:064x}", "mtime_ns": AT_NS, "landed_at_ns": AT_NS, "manifest": "studio"}
    return FileBody(f"{number:05}.png", home, **{**facts, "media": media(number), **more})  # type: ignore[arg-type]


def synced(number: int, home: str | None = None, *, kind: EventKind = EventKind.FILE_SYNCED, **more: object) -> Event:
    body = file_body(number, home, **more)
    return Event(EventId(number), kind, "studio", AT_NS + number, body.home, written(body))


def homes(events: Sequence[Event]) -> list[str]:
    return [event.key for event in events]


async def soon(work: Awaitable[None]) -> None:
    async with asyncio.timeout(PROMPTLY_S):
        await work


class HandlerContract:
    """Subclassed by each body."""

    async def test_all_are_taken_in_order(self, receiver: Receiver) -> None:
        events = [synced(number) for number in range(1, 101)]
        await receiver.handler.deliver(events[:60])
        await receiver.handler.deliver(events[60:])
        taken = await receiver.taken()
        assert (sorted(taken) if receiver.idempotent else taken) == homes(events)

    async def test_nothing_to_deliver_is_fine(self, receiver: Receiver) -> None:
        await receiver.handler.deliver([])
        assert await receiver.taken() == []

    async def test_what_comes_twice_is_there_at_least_once_and_in_tables_exactly_once(self, receiver: Receiver) -> None:
        events = [synced(number) for number in range(1, 6)]
        for some in (events[:3], events, events, [events[-1], events[-1]]):
            await receiver.handler.deliver(some)
        taken = await receiver.taken()
        assert set(taken) == set(homes(events))
        assert not receiver.idempotent or len(taken) == len(events)

    async def test_of_one_file_the_order_is_kept(self, receiver: Receiver) -> None:
        one = "/media/studio/one.png"
        await receiver.handler.deliver([synced(1, one), synced(2), synced(3, one, kind=EventKind.FILE_REMOVED)])
        taken = await receiver.taken()
        assert set(taken) == {one, homes([synced(2)])[0]}
        assert receiver.idempotent or taken[0] == taken[-1] == one

    async def test_events_of_every_kind_and_the_strangest_texts_are_taken(self, receiver: Receiver) -> None:
        others = [
            Event(EventId(number), kind, "studio", AT_NS, "k", json.dumps({"message": NASTY}))
            for number, kind in enumerate(EventKind, 1)
            if kind not in (EventKind.FILE_SYNCED, EventKind.FILE_REMOVED)
        ]
        strange = synced(50, "/media/studio/\u202e\x1b[2J\n' \U0001f600.png", media=media(50, NASTY))
        not_text = synced(51, "/media/\ufffd.png", home_b64="L21lZGlhL/8ucG5n", path_b64="/y5wbmc=", media=None)
        large = synced(52, media=media(52, "many words " * 200_000))
        await receiver.handler.deliver([*others, strange, not_text, large])
        assert set(homes([strange, large])) <= set(await receiver.taken())

    async def test_it_can_be_tried_without_bringing_it_anything(self, receiver: Receiver) -> None:
        assert await receiver.handler.try_out()
        assert await receiver.taken() == []
        await receiver.handler.deliver([synced(1)])
        assert await receiver.handler.try_out()
        assert await receiver.taken() == homes([synced(1)])

    async def test_one_that_fails_has_taken_nothing_and_is_given_it_again(self, receiver: Receiver) -> None:
        events = [synced(1), synced(2)]
        await receiver.fails()
        for _ in range(2):
            with pytest.raises(IngestError) as error:
                await soon(receiver.handler.deliver(events))
            assert error.value.hint
        await receiver.heals()
        await soon(receiver.handler.deliver(events))
        assert set(await receiver.taken()) == set(homes(events))

    async def test_one_that_hangs_is_given_up_and_is_well_later(self, receiver: Receiver) -> None:
        await receiver.hangs()
        with pytest.raises(IngestError) as error:
            await soon(receiver.handler.deliver([synced(1)]))
        assert error.value.transient
        await receiver.heals()
        await soon(receiver.handler.deliver([synced(1)]))
        assert set(await receiver.taken()) == set(homes([synced(1)]))

    async def test_one_that_lies_is_not_believed(self, receiver: Receiver) -> None:
        await receiver.handler.deliver([synced(1)])
        await receiver.lies()
        with pytest.raises(IngestError):
            await soon(receiver.handler.deliver([synced(2)]))
        await receiver.heals()
        await soon(receiver.handler.deliver([synced(2)]))
        assert set(await receiver.taken()) == set(homes([synced(1), synced(2)]))

    async def test_a_delivery_is_ended_in_the_middle_and_the_next_one_is_well(self, receiver: Receiver) -> None:
        await receiver.hangs()
        delivering = asyncio.create_task(receiver.handler.deliver([synced(1)]))
        await asyncio.sleep(0.3)
        delivering.cancel()
        await soon(asyncio.wait([delivering]))  # type: ignore[arg-type]
        assert delivering.cancelled() or isinstance(delivering.exception(), IngestError)
        await receiver.heals()
        await soon(receiver.handler.deliver([synced(1)]))
        assert set(await receiver.taken()) == set(homes([synced(1)]))

    async def test_it_is_closed_while_it_delivers(self, receiver: Receiver) -> None:
        await receiver.hangs()
        delivering = asyncio.create_task(receiver.handler.deliver([synced(1)]))
        await asyncio.sleep(0.3)
        await soon(receiver.handler.aclose())
        await soon(asyncio.wait([delivering]))  # type: ignore[arg-type]
        assert isinstance(delivering.exception(), IngestError)
        await soon(receiver.handler.aclose())

    async def test_by_a_delivery_all_get_there_whatever_happens_meanwhile(self, receiver: Receiver) -> None:
        store, events = MemoryStore(), [synced(number) for number in range(1, 251)]
        await store.manifest.record(
            ManifestName("studio"), [], [NewEvent(one.kind, one.target, one.at_ns, one.key, one.body) for one in events]
        )
        delivery = Delivery(receiver.handler, store.outbox, SystemClock(), chance=lambda: 0.0)
        for trouble in (receiver.fails, receiver.heals, receiver.lies, receiver.heals):
            await trouble()
            try:
                await soon(delivery.once())  # type: ignore[arg-type]
            except IngestError:
                continue
        while await delivery.once():
            pass
        taken = await receiver.taken()
        assert list(dict.fromkeys(sorted(taken))) == homes(events)
        assert not receiver.idempotent or len(taken) == len(events)
