"""Boxes that a program of the owner's prints: for providers that forged does not know, and for machines of one's own.

The format: one JSON object a line (UTF-8), each of them a box, and one line that says how many boxes there are.

    {"id": "gpu-1", "host": "10.0.78.108", "port": 2222}
    {"id": "gpu-2", "source": "docker://comfy", "label": "studio", "end": "2026-12-01T06:00:00Z"}
    {"count": 2}

`id` (needed) is what the box is remembered by: it stays the same when the address changes. 1 to 64 letters, digits, `.`, `_`, `-`.
`host`, with `port` (22) and `user` (root), is where SSH answers; `source` is the same as an address, `ssh://`, `sftp://` or
`docker://`, without a path. `state` is one of running (the default), starting, stopped, unknown. `label` is any text, `end` (RFC
3339) when the box ends by itself, `why` a word for people about a box without an address. Other keys are ignored.

The line with `count` may stand anywhere, and may be left out when there are boxes; it must be right. Where there are none it is
needed: `{"count": 0}`. So a program that prints nothing, because whatever it asks is down, is never taken for "there are none". For
the same reason its exit status has to be 0. With jq, of which both hold:

    vastai show instances --raw | jq -c '(.[] | {id: (.id | tostring), host: .ssh_host, port: .ssh_port}), {count: length}'
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec

from forged.config.address import parse_source
from forged.discovery.program import Printed, ProgramFailure, printed
from forged.discovery.reading import BoxList, box_id, decoded, plain, ssh_address
from forged.kit.log_lines import clean
from forged.model.boxes import Box, BoxState
from forged.model.errors import DiscoveryError
from forged.model.target import SourceAddress, SourceKind

MOST_BYTES = 8_000_000
"""Of its whole output: 800 for each of the most boxes that are believed (base.MOST_BOXES)."""

LAST_LINES = 3
"""Of standard error that an error quotes."""

LAST_CHARS = 300
"""Of these lines together."""


class Line(msgspec.Struct):
    """A box as it is printed."""

    id: str | int
    host: str | None = None
    port: int | str = 22
    user: str = "root"
    source: str | None = None
    state: str = "running"
    label: str | None = None
    end: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    why: str = ""


class Total(msgspec.Struct):
    """The line that says how many there are. One with an id is a box, and its `count` may count anything."""

    count: int | None = None
    id: object = None


class Command:
    """The promises are in discovery/base."""

    def __init__(self, argv: Sequence[str], label: str | None = None, *, within_s: float = 60.0) -> None:
        self._argv = tuple(argv)
        self._label = label
        self._within_s = within_s
        self._who = plain(self._argv[0])

    async def boxes(self) -> tuple[Box, ...]:
        try:
            left = await printed(self._argv, within_s=self._within_s, most_bytes=MOST_BYTES)
        except ProgramFailure as failure:
            raise DiscoveryError(f"{self._who}: {failure}", hint=_HINT) from None
        if left.status:
            raise DiscoveryError(f"{self._who}: it ended with {_how(left.status)}{_last_words(left)}", hint=_HINT)
        return self._read(left)

    def _read(self, left: Printed) -> tuple[Box, ...]:
        lines = [line for line in left.stdout.split(b"\n") if line.strip()]
        if not lines:
            raise DiscoveryError(
                f'{self._who}: it printed nothing; when there are no boxes it has to say so: {{"count": 0}}{_last_words(left)}',
                hint=_HINT,
            )
        boxes, total = BoxList(self._who, self._label), None
        for line in lines:
            said = decoded(line, Total, self._who)
            count = said.count if said.id is None else None
            if count is None:
                boxes.read([msgspec.Raw(line)], Line, lambda line: _box(line, self._who))
            elif total is not None:
                raise DiscoveryError(f"{self._who}: it says twice how many boxes there are")
            else:
                total = count
        if total is not None and total != len(boxes):
            raise DiscoveryError(f"{self._who}: it speaks of {total} boxes, and printed {len(boxes)}")
        return boxes.boxes()

    def warnings(self) -> tuple[str, ...]:
        return ()

    async def aclose(self) -> None:
        """Nothing is held between two questions."""


_HINT = "run it by hand to see; boxes that are known already go on being synced, and forged asks again by itself"


def _how(status: int) -> str:
    return f"exit status {status}" if status > 0 else f"signal {-status}"


def _last_words(left: Printed) -> str:
    lines = [line for line in left.last_words.decode("utf-8", "replace").splitlines() if line.strip()]
    return f": {clean(' / '.join(line.strip() for line in lines[-LAST_LINES:]), LAST_CHARS)}" if lines else ""


def _box(line: Line, who: str) -> Box:
    """Raises ValueError for a state or an address that is none."""
    try:
        state = BoxState(line.state)
    except ValueError:
        raise ValueError(f"its state is none of {', '.join(state.value for state in BoxState)}") from None
    address = _address(line)
    if state is BoxState.RUNNING and address is None:
        raise ValueError("it runs, and has neither host nor source")
    shown = (address,) if address and state in (BoxState.RUNNING, BoxState.UNKNOWN) else ()
    end_ns = None if line.end is None else round(line.end.timestamp() * 1e9)
    why = "" if shown else plain(line.why)[:200] or f"{who} says that it is {state.value}"
    return Box(box_id(line.id, who), state, shown, line.label, end_ns, why)


def _address(line: Line) -> SourceAddress | None:
    if line.source is None:
        return ssh_address(line.host, line.port, line.user) if line.host else None
    try:
        source = parse_source(line.source)
    except ValueError:
        raise ValueError("its source is no address") from None
    if source.kind is SourceKind.LOCAL or source.path:
        raise ValueError("its source has a path: that belongs into [discovery.target]")
    return source
