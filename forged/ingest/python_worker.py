"""The process of a Python handler: loads the owner's class, and calls it. Started by ingest/python.

What the class does is data to whoever is at the other end: an exception is an answer; an end, whatever it came from, is the end of
the line. What it prints goes to standard error. A child that it forks has no line, and nobody hears it.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import os
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from itertools import groupby

import msgspec

from forged.ingest.interface import MediaEventData, MediaIngestInterface, event_data
from forged.ingest.python_letters import LENGTH_BYTES, Answered, Asked, Letter, Opening, framed
from forged.kit.child import begin
from forged.model.events import Event, EventId, EventKind

GROUP = "forged.ingest"
"""Of entry points."""


class NotTaken(Exception):
    """The class said so."""


def main() -> None:
    """Until the line ends."""
    begin()
    os.setsid()  # what the class starts ends with us
    line = _line()
    asyncio.run(_serve(line))


def _line() -> socket.socket:
    """Our end, out of the way of what the class prints and reads, and of what it starts."""
    line = socket.socket(fileno=os.dup(0))
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    os.register_at_fork(after_in_child=lambda: os.close(line.detach()))
    return line


async def _serve(line: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=line)
    pid = os.getpid()
    opening = msgspec.json.decode(await _letter(reader), type=Opening)
    own, error = await _outcome(_loaded(opening.handler))
    number, at = 0, _At()
    while True:
        if os.getpid() != pid:
            os._exit(0)  # a fork of the class's that came back
        writer.write(framed(msgspec.json.encode(Answered(number, error, at.events))))
        try:
            await writer.drain()
            asked = msgspec.json.decode(await _letter(reader), type=Asked)
        except (asyncio.IncompleteReadError, ConnectionError):
            break
        number, at = asked.number, _At()
        _, error = await _outcome(_brought(own, asked.events, at))
    if hasattr(own, "close"):
        await _outcome(_called(own.close))
    sys.stderr.flush()


async def _letter(reader: asyncio.StreamReader) -> bytes:
    size = int.from_bytes(await reader.readexactly(LENGTH_BYTES), "big")
    return await reader.readexactly(size)


async def _outcome(work: Coroutine[None, None, object]) -> tuple[object, str | None]:
    """What came of it, and what went wrong, in words. SystemExit and the like end this process."""
    task = asyncio.ensure_future(work)
    await asyncio.wait([task])
    if task.cancelled():
        return None, "it was cancelled"
    error = task.exception()
    if error is None:
        return task.result(), None
    if isinstance(error, NotTaken):
        return None, str(error)
    traceback.print_exception(error)
    return None, f"{type(error).__name__}: {error}{_where(error)}"


def _where(error: BaseException) -> str:
    """The last of the owner's lines that it came from."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename != __file__]
    return f" ({os.path.basename(frames[-1].filename)}, line {frames[-1].lineno})" if frames else ""


async def _loaded(handler: str) -> object:
    if ":" in handler:
        module, _, name = handler.partition(":")
        return getattr(importlib.import_module(module), name)()
    for found in entry_points(group=GROUP, name=handler):
        return found.load()()
    raise NotTaken(f"no installed package has an entry point {handler!r} in the group {GROUP}")


@dataclass
class _At:
    """What it is busy with."""

    events: tuple[int, ...] = ()


async def _brought(own: object, letters: Sequence[Letter], at: _At) -> None:
    """In order; files that landed one after the other together."""
    events = [_event(one, at) for one in letters]
    for kind, some in groupby(events, key=lambda event: event.event):
        if kind is EventKind.FILE_SYNCED:
            await _synced(own, list(some), at)
        else:
            for event in some:
                at.events = (event.id,)
                await _other(own, event)


def _event(one: Letter, at: _At) -> MediaEventData:
    at.events = (one.id,)
    return event_data(Event(EventId(one.id), EventKind(one.kind), one.target, one.at_ns, one.key, one.body))


async def _synced(own: object, events: Sequence[MediaEventData], at: _At) -> None:
    inherited = getattr(type(own), "on_batch_synced", None) is MediaIngestInterface.on_batch_synced
    if hasattr(own, "on_batch_synced") and not inherited:  # that takes them one by one, and so do we: it tells which one failed
        at.events = tuple(event.id for event in events)
        taken = await _called(own.on_batch_synced, events)
        if taken is False or (isinstance(taken, int) and taken is not True and taken < len(events)):
            raise NotTaken(f"on_batch_synced says that it took {int(taken)} of {len(events)}")
    elif hasattr(own, "on_file_synced"):
        for event in events:
            at.events = (event.id,)
            await _asked("on_file_synced", own.on_file_synced, event)


async def _other(own: object, event: MediaEventData) -> None:
    match event.event:
        case EventKind.FILE_REMOVED if hasattr(own, "on_file_removed"):
            await _asked("on_file_removed", own.on_file_removed, event)
        case EventKind.SYNC_COMPLETE if hasattr(own, "on_sync_complete"):
            await _asked("on_sync_complete", own.on_sync_complete, str(event.body.get("sync_id") or event.key), event.body)
        case EventKind.FILE_REMOVED | EventKind.SYNC_COMPLETE:
            pass
        case _ if hasattr(own, "on_event"):
            await _asked("on_event", own.on_event, event)


async def _asked(name: str, method: Callable[..., object], *given: object) -> None:
    if await _called(method, *given) is False:
        raise NotTaken(f"{name} says that it did not take it")


async def _called(method: Callable[..., object], *given: object) -> object:
    """Plain or async."""
    result = method(*given)
    if inspect.isawaitable(result):
        awaited: Awaitable[object] = result
        return await awaited
    return result
