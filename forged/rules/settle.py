"""Is a file still being written? Settled = unchanged for `settle`, by the source's clock or over two of our looks."""

from __future__ import annotations

import math
from dataclasses import dataclass

from forged.model.files import Stat
from forged.model.target import SettlePolicy


@dataclass(frozen=True, slots=True)
class Look:
    """What an earlier look saw, and since when (our monotonic clock) it has been looking just so."""

    stat: Stat
    since_s: float
    broken: bool = False
    """It was fetched like this and its container was cut short: fetching it again would only show the same."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When a look happens: by the source's clock (ages of files), and by our own (time between looks)."""

    source_ns: int
    ours_s: float


def look_again(stat: Stat, earlier: Look | None, moment: Moment) -> Look:
    """The look to remember: the earlier one while nothing moved, else a new one that begins now."""
    if earlier is not None and earlier.stat == stat:
        return earlier
    return Look(stat, moment.ours_s)


def quiet_s(stat: Stat, earlier: Look | None, moment: Moment) -> float:
    """For how long the file has surely been unchanged.

    The source's clock counts from the last change of content or of inode (ctime moves with each write and cannot be set back);
    our own clock counts from the first of the looks that saw it like this. A file from the future has only the latter.
    """
    changed_ns = max(stat.mtime_ns, stat.ctime_ns if stat.ctime_ns is not None else stat.mtime_ns)
    return max((moment.source_ns - changed_ns) / 1e9, _watched_s(stat, earlier, moment))


def _watched_s(stat: Stat, earlier: Look | None, moment: Moment) -> float:
    """For how long our own looks have seen it just so."""
    return moment.ours_s - earlier.since_s if earlier is not None and earlier.stat == stat else 0.0


def wait_s(stat: Stat, earlier: Look | None, moment: Moment, policy: SettlePolicy, min_age_s: float) -> float:
    """How long to wait before the file may be fetched; 0.0 = it is settled now."""
    quiet = quiet_s(stat, earlier, moment)
    needed = policy.settle_s
    if earlier is not None and earlier.stat == stat and earlier.broken:
        needed = max(needed, policy.settle_max_s)
    age = max((moment.source_ns - stat.mtime_ns) / 1e9, _watched_s(stat, earlier, moment))
    return max(needed - quiet, min_age_s - age, 0.0)


def surely_settled_ns(moment: Moment, policy: SettlePolicy, min_age_s: float) -> int:
    """What was touched last at or before this time of the source's (mtime and ctime) is settled at that moment.

    The same as asking `wait_s`, for all files at once; only one that was found `broken` has to be asked about by itself.
    """
    return moment.source_ns - math.ceil(max(policy.settle_s, min_age_s) * 1e9)


def may_come_unfinished(stat: Stat, earlier: Look | None, moment: Moment, policy: SettlePolicy) -> bool:
    """Unfinished by its format, but unchanged for `settle_max`: whoever wrote it has given up, and the owner still wants it."""
    return quiet_s(stat, earlier, moment) >= policy.settle_max_s
