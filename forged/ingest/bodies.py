"""What a webhook sends: the bodies of its three formats; and what a command reads. Pure.

`json`, for programs: {"events": [{"id", "kind", "target", "at", "key", "data"}, ...]}, in order. `id` is a number that ascends,
and is the same when an event comes again; `at` is RFC 3339; events of one `key` are in order; `data` is the event's own body.

`ntfy` (docs.ntfy.sh/publish, "publish as JSON") and `slack` ({"text"}; docs.slack.dev, incoming webhooks) are for people: one
message for all events that came together, so that many files are not as many pushes. Names in them come from boxes: nothing in them
mentions anybody or links anywhere.
"""

from __future__ import annotations

import enum
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from types import MappingProxyType

import msgspec

from forged.kit.log_lines import clean
from forged.model.alarms import AlarmKind
from forged.model.events import Event, EventKind

ROUTINE = frozenset({EventKind.FILE_SYNCED, EventKind.FILE_REMOVED, EventKind.SYNC_COMPLETE})
"""What goes as it should."""

WELL_AGAIN = frozenset(kind.heals for kind in AlarmKind)
"""Somebody was told that it is wrong, and likes to hear that it is not any more; nobody has to be woken for that."""

LISTED = 10
"""Lines of one message; the rest is counted. A phone shows about as many."""

LINE_MOST_CHARS = 300
"""Of one event in a message."""

NTFY_MOST_BYTES = 4000
"""ntfy makes an attachment of a message above 4,096 bytes (docs.ntfy.sh/publish, limitations)."""

SLACK_MOST_CHARS = 1900
"""Discord refuses what is above 2,000; Slack and Mattermost take more."""

NTFY_HIGH, NTFY_DEFAULT = 4, 3
"""ntfy's priorities: 4 makes a phone buzz for long, 3 as usual."""


class Rank(enum.IntEnum):
    """How much an event matters to a person; what matters most is told first."""

    ALARM = 0
    WELL_AGAIN = 1
    ROUTINE = 2


NTFY_TAGS: Mapping[Rank, str] = MappingProxyType(
    {Rank.ALARM: "warning", Rank.WELL_AGAIN: "white_check_mark", Rank.ROUTINE: "frame_with_picture"}
)
"""Shown as a picture before the title (docs.ntfy.sh/emojis)."""

SLACK_SIGNS: Mapping[Rank, str] = MappingProxyType(
    {Rank.ALARM: ":warning: ", Rank.WELL_AGAIN: ":white_check_mark: ", Rank.ROUTINE: ""}
)


class EventOut(msgspec.Struct):
    """One event as JSON; `data` is put in as it is."""

    id: int
    kind: str
    target: str
    at: str
    key: str
    data: msgspec.Raw


class EventsOut(msgspec.Struct):
    """The body of the format `json`."""

    events: list[EventOut]


class NtfyOut(msgspec.Struct):
    """The body for ntfy."""

    topic: str
    title: str
    message: str
    priority: int
    tags: list[str]


class SlackOut(msgspec.Struct):
    """The body for Slack, and those who understand it."""

    text: str


class Words(msgspec.Struct):
    """What of an event's body is for people (model/events.NewEvent)."""

    message: str = ""
    hint: str = ""


def json_body(events: Sequence[Event]) -> bytes:
    return msgspec.json.encode(EventsOut([_out(event) for event in events]))


def json_lines(events: Sequence[Event]) -> bytes:
    """One event a line, as in the list of `json`; for programs that read lines."""
    return b"".join(_line_end(msgspec.json.encode(_out(event))) for event in events)


def _line_end(line: bytes) -> bytes:
    """A line end within JSON stands only where a space may: in texts it is an escape."""
    return line.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n"


def ntfy_body(topic: str, events: Sequence[Event]) -> bytes:
    most = min(map(_rank, events))
    message = _cut("\n".join(_lines(events)), NTFY_MOST_BYTES)
    priority = NTFY_HIGH if most is Rank.ALARM else NTFY_DEFAULT
    return msgspec.json.encode(NtfyOut(topic, _title(events), message, priority, [NTFY_TAGS[most]]))


def slack_body(events: Sequence[Event]) -> bytes:
    sign = SLACK_SIGNS[min(map(_rank, events))]
    text = "\n".join([f"{sign}{_harmless(_title(events))}", *map(_harmless, _lines(events))])
    return msgspec.json.encode(SlackOut(text if len(text) <= SLACK_MOST_CHARS else text[: SLACK_MOST_CHARS - 1] + "…"))


def _out(event: Event) -> EventOut:
    at = datetime.fromtimestamp(event.at_ns / 1e9, UTC).isoformat(timespec="milliseconds")
    return EventOut(event.id, event.kind.value, event.target, at, _utf8(event.key).decode(), _data(event.body))


def _data(body: str) -> msgspec.Raw:
    """What is no JSON (nothing of ours is) goes as text rather than making everything unreadable."""
    raw = _utf8(body)
    try:
        msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raw = msgspec.json.encode(raw.decode())
    return msgspec.Raw(raw)


def _utf8(text: str) -> bytes:
    """Half a surrogate pair has no place in it."""
    return text.encode("utf-8", "replace")


def _rank(event: Event) -> Rank:
    if event.kind in ROUTINE:
        return Rank.ROUTINE
    return Rank.WELL_AGAIN if event.kind in WELL_AGAIN else Rank.ALARM


def _title(events: Sequence[Event]) -> str:
    """`forged: studio: target lost`, or for several `forged: 3 file synced, 1 target lost`."""
    if len(events) == 1:
        return clean(f"forged: {events[0].target}: {_kind(events[0])}", LINE_MOST_CHARS)
    counts = Counter(map(_kind, sorted(events, key=_rank)))
    return "forged: " + ", ".join(f"{count} {kind}" for kind, count in counts.items())


def _kind(event: Event) -> str:
    return event.kind.value.replace("_", " ")


def _lines(events: Sequence[Event]) -> list[str]:
    """Alarms first; what is too much is counted."""
    ordered = sorted(events, key=_rank)
    lines = [_line(event, alone=len(events) == 1) for event in ordered[:LISTED]]
    return [*lines, f"… and {len(events) - LISTED} more"] if len(events) > LISTED else lines


def _line(event: Event, *, alone: bool) -> str:
    words = _words(event.body)
    said = ": ".join(filter(None, (words.message or event.key, words.hint)))
    return clean(said if alone else f"{event.target}: {_kind(event)}: {said}", LINE_MOST_CHARS)


def _words(body: str) -> Words:
    try:
        return msgspec.json.decode(_utf8(body), type=Words)
    except (msgspec.DecodeError, RecursionError):
        return Words()


def _harmless(text: str) -> str:
    """Slack's three control characters as it wants them escaped; no `@` stands before a word, or everybody would be called."""
    for character, instead in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ("@", "@\u200b")):
        text = text.replace(character, instead)
    return text


def _cut(text: str, most_bytes: int) -> str:
    """At a character's border."""
    raw = text.encode("utf-8", "replace")
    return text if len(raw) <= most_bytes else raw[: most_bytes - 3].decode("utf-8", "ignore") + "…"
