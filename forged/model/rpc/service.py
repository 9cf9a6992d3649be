"""`daemon.*`, `events.subscribe` and `transfer.limit`: the daemon as a whole."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict

from forged.model.rpc.basic import Problem, Scalar


class Limit(TypedDict):
    """A bandwidth bound; `target` is null for the one that all share. `rate` is what holds now, in bytes a second; null = none.

    `limit` is as somebody wrote it: a rate, `off` or a timetable. `origin`: from the file, from `transfer.limit` and kept over
    restarts, or until the next restart.
    """

    target: str | None
    rate: int | None
    limit: str
    origin: Literal["config", "kept", "until restart"]


class Limits(TypedDict):
    """`transfer.limit`: all limits, the shared one first. Without `limit` it only tells; "config" gives the configured one back."""

    success: bool
    message: str
    limits: list[Limit]


class Event(TypedDict):
    """A fact in the past tense; also the params of the notification `event`. `kind` is a word of forged.model.events.EventKind.

    `id` ascends from the start of the daemon on; it is not the id that the ingest handlers get. `key` is the path at home for
    events of a file. `body` is what was seen when it happened: of a file before anybody looked into it, of a sync its job.
    """

    id: int
    kind: str
    target: str
    at: str
    key: str
    body: dict[str, object]


class EventsSubscribed(TypedDict):
    """`events.subscribe`: from now on `event` notifications come on this connection. `recent`: the last before, oldest first."""

    success: bool
    recent: list[Event]


class Reloaded(TypedDict):
    """`daemon.reload`. With `success` False the configuration is NOT changed; `problems` say why, as `file:line: key: what`.

    `added`, `removed`, `changed` are names of targets; `restart_needed` are changed keys that take effect with the next start only.
    With `wait` it answers when targets that go or change have ended the round they were in.
    """

    success: bool
    message: str
    problems: list[str]
    added: list[str]
    removed: list[str]
    changed: list[str]
    restart_needed: list[str]


class LastReload(TypedDict):
    """How the last reload went."""

    at: str
    success: bool
    message: str


class Discovery(TypedDict):
    """How one discovery stands. `asked_at`: when the last question began; `answered_at`: when the last whole answer came, in this
    life of the daemon; `next_at`: when the next question comes, null while one is under way.

    `up`: the last question was answered; null before the first. `boxes`: how many are known, `gone` of them only as what is left of
    them. `problems`: what is wrong with it.
    """

    name: str
    type: str
    up: bool | None
    asked_at: str | None
    answered_at: str | None
    next_at: str | None
    boxes: int
    gone: int
    problems: list[Problem]


class Handler(TypedDict):
    """How one ingest handler stands. `up`: the last delivery was taken; null before the first, in this life of the daemon.

    `delivered`: events it took in this life; `waiting`: events that wait for it; `retried`: those of them that it did not take
    while it took others; `set_aside`: events that wait for a person (`ingest.list`); `failures`: deliveries in a row that failed.
    """

    name: str
    type: str
    up: bool | None
    delivered: int
    waiting: int
    retried: int
    set_aside: int
    failures: int
    problems: list[Problem]


class Enrichment(TypedDict):
    """How looking into files stands: so many at home wait for it."""

    waiting: int


class DaemonStatus(TypedDict):
    """`daemon.status`. `metrics` is the page's address, null when it is off. `problems` are those that concern no single target."""

    success: bool
    version: str
    pid: int
    started_at: str
    config: str
    state_dir: str
    socket: str
    metrics: str | None
    targets: int
    jobs_active: int
    connections: int
    last_reload: LastReload | None
    discoveries: list[Discovery]
    handlers: list[Handler]
    media: Enrichment
    problems: list[Problem]


class ConfigValue(TypedDict):
    """One effective value. `key` is dotted, a target's by name: `target.forge.poll`. Secrets are shown as `***`.

    `origin`: `default`, `preset`, `FILE:LINE`, or `$NAME` for an environment variable.
    """

    key: str
    value: Scalar | list[Scalar]
    origin: str


class EffectiveConfig(TypedDict):
    """`daemon.config`, paged, in the order of the file's sections."""

    success: bool
    path: str
    values: list[ConfigValue]
    next_cursor: str | None
