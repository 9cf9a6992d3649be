"""`target.*`: how targets stand, and whether everything of them is home."""

from __future__ import annotations

from typing import Literal, NotRequired

from typing_extensions import TypedDict

from forged.model.rpc.basic import Path, PathWhy, Problem

State = Literal["idle", "scanning", "transferring", "waiting", "unreachable", "refused", "lost"]


class Target(TypedDict):
    """How one target stands. What is not known yet, or not of this kind of source, is null.

    A held target has a problem of the kind `held`, whose message is the reason. `last_sync` is the end of the last sync that went
    well. `lag_seconds`: age of the oldest settled file that is not home yet, from its last write and by the source's clock; 0 when
    all are home. It and the backlog are null until the source was looked at in whole since forged started, or something is known to
    wait. `watch`: a watch is active.
    `transport`: how the source is reached, in words (`sftp`); `missing`: what it cannot do there, in words.
    `discovery`, `instance` (the provider's id), `label` and `ends_at` are of boxes that a discovery found. `lost`: its provider
    does not list it any more, and not all of it is home. `asleep`: why nobody tries to reach it, as its provider says (stopped,
    starting), which is no problem. Alarms (`lost`, `ending`) come first in `problems`.
    """

    name: str
    type: str
    source: str
    dest: str
    state: State
    held: bool
    paused: bool
    watch: bool
    guarded_removal: bool | None
    transport: str | None
    missing: list[str]
    last_sync: str | None
    backlog_files: int | None
    backlog_bytes: int | None
    lag_seconds: float | None
    free_bytes: int | None
    discovery: str | None
    instance: str | None
    label: str | None
    ends_at: str | None
    asleep: str | None
    problems: list[Problem]


class Targets(TypedDict):
    """`target.list`, in the order of the configuration."""

    success: bool
    targets: list[Target]
    next_cursor: str | None


class TargetStatus(TypedDict):
    """`target.status`."""

    success: bool
    target: Target


class Hold(TypedDict):
    """Why cleanup and forgetting were frozen. `reason` is the stable word of forged_target_held."""

    reason: str
    message: str
    since: str


class Released(TypedDict):
    """`target.release`. `held` is what was ended; null where nothing was held, which is a success as well."""

    success: bool
    message: str
    held: Hold | None


class Drained(TypedDict):
    """`target.drain` (promise 14). `success`: the source was emptied of work and looked at in whole, in time.

    `safe_to_destroy` implies `success`. `missing` makes the answer no: not_home, waiting (still being written), unreadable,
    home_missing, home_differs, home_unreadable, changed, not_ingested, failed. `aside` stays behind knowingly: excluded,
    tombstoned, incomplete (came home cut short, as it is at the source), link. Both by name, as many as
    one answer holds; `missing_unnamed` and `aside_unnamed` are more. `counts` has all of them by the same words, and `home` under
    the word `home`.
    """

    success: bool
    safe_to_destroy: bool
    message: str
    files_at_source: int
    bytes_at_source: int
    counts: dict[str, int]
    missing: list[PathWhy]
    missing_unnamed: int
    aside: list[PathWhy]
    aside_unnamed: int


Symbol = Literal["=", "-", "+", "*"]


class Compared(Path):
    """One file: `=` same, `-` missing at home, `+` only at home, `*` differs. `why` says more in a word where there is more."""

    symbol: Symbol
    why: NotRequired[str]


class Verified(TypedDict):
    """`target.verify`, paged. Rows with `=` come only with `same`.

    `counts` (by symbol) are of the part that this page compared: they add up over the pages.
    """

    success: bool
    rows: list[Compared]
    counts: dict[Symbol, int]
    next_cursor: str | None
