"""`ingest.*`: what handlers did not take, and bringing them again what is home."""

from __future__ import annotations

from typing_extensions import TypedDict

from forged.model.rpc.service import Handler


class IngestHandler(Handler):
    """`replaying`: what is home is being brought to it again."""

    replaying: bool


class AsideEvent(TypedDict):
    """An event that a handler did not take, or that waits behind one of the same file. `key`: that file at home, safe to show.

    `tries`: how often it was brought alone; `error`: why it was not taken the last time. `set_aside`: it waits for a person; else
    it is tried again by itself.
    """

    id: int
    handler: str
    kind: str
    target: str
    at: str
    key: str
    tries: int
    error: str
    since: str
    set_aside: bool


class IngestPage(TypedDict):
    """`ingest.list`. Every page names the handlers; `events` is paged, handler by handler and by id."""

    success: bool
    handlers: list[IngestHandler]
    events: list[AsideEvent]
    next_cursor: str | None


class IngestSteered(TypedDict):
    """`ingest.retry`, `.drop`, `.replay`. `events`: how many it is about."""

    success: bool
    message: str
    events: int
