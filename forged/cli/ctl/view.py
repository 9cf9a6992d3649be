"""What the live view knows at the moment, put together from answers and notifications, and what its watcher has chosen."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from forged.cli.ctl.asking import Asking
from forged.control.client import Notification

if TYPE_CHECKING:
    from forged.model import rpc

RECENT_KEPT = 200
RATES_KEPT = 300
"""A rate for each look: minutes, and more than most terminals have columns for."""

MB = 1_000_000

LANDED_S = 5.0
"""Over which the rate of files that come home beside the jobs is taken: a watch brings each as it is finished."""


class View:
    """Targets, jobs, recent events and rates. `look` asks, `take` is told; drawing only reads."""

    def __init__(self) -> None:
        self.targets: list[rpc.Target] = []
        self.daemon: rpc.DaemonStatus | None = None
        self.names: dict[str, str] = {}
        """The target of each job at work, by sync_id."""
        self.progress: dict[str, rpc.Progress] = {}
        self.recent: deque[rpc.Event] = deque(maxlen=RECENT_KEPT)
        self.rates: deque[float] = deque(maxlen=RATES_KEPT)
        self._landed: deque[tuple[float, str, int]] = deque(maxlen=10_000)
        """When a file landed, of which target, and its bytes."""
        self.chosen: str | None = None
        """The name of the target that keys act on; problems and files are then of it alone."""
        self.is_frozen = False
        self.shows_help = False
        self.said = ""
        """What became of the last key, for the last line."""
        self.away = ""
        """Why the daemon does not answer; empty while it does."""

    def subscribe(self, asking: Asking) -> None:
        """From now on notifications come."""
        asking.call("sync.subscribe")
        subscribed: rpc.EventsSubscribed = asking.call("events.subscribe")
        self.recent.clear()
        self.recent.extend(subscribed["recent"])

    def look(self, asking: Asking) -> None:
        """Asks for everything that does not come by itself."""
        self.targets = asking.whole("target.list", "targets")["targets"]
        self.daemon = asking.call("daemon.status")
        active: rpc.Jobs = asking.call("sync.active")
        self.names = {job["sync_id"]: job["target"] for job in active["jobs"]}
        self.progress = {id_: progress for id_, progress in self.progress.items() if id_ in self.names}
        self.rates.append(self.bytes_per_s)
        if self.chosen not in [target["name"] for target in self.targets]:
            self.chosen = None

    @property
    def bytes_per_s(self) -> float:
        """Of all targets together."""
        return sum(self.fast.values())

    @property
    def fast(self) -> Mapping[str, float]:
        """Bytes per second by target: what its job tells, else what landed in the last seconds."""
        since_s = time.monotonic() - LANDED_S
        while self._landed and self._landed[0][0] < since_s:
            self._landed.popleft()
        landed: dict[str, float] = {}
        for _, target, size_bytes in self._landed:
            landed[target] = landed.get(target, 0.0) + size_bytes / LANDED_S
        told: dict[str, float] = {}
        for target, progress in self.jobs:
            told[target] = told.get(target, 0.0) + progress["transfer_rate_mbps"] * MB
        return landed | {target: rate for target, rate in told.items() if rate or target not in landed}

    @property
    def jobs(self) -> list[tuple[str, rpc.Progress]]:
        """The jobs at work, each with its target's name, in the order of the targets: a row stays where it is."""
        places = {target["name"]: place for place, target in enumerate(self.targets)}
        found = [(self.names[id_], progress) for id_, progress in self.progress.items() if id_ in self.names]
        return sorted(found, key=lambda job: places.get(job[0], len(places)))

    def choose(self, step: int) -> None:
        """The target above or below the chosen one; beyond the ends none."""
        names = [None, *(target["name"] for target in self.targets)]
        self.chosen = names[(names.index(self.chosen) + step) % len(names)]

    def target(self) -> rpc.Target | None:
        """The chosen one."""
        return next((target for target in self.targets if target["name"] == self.chosen), None)

    def take(self, note: Notification) -> None:
        """One notification. A job that is new here is drawn from the next look on, when its target is known."""
        if note.method == "sync_progress":
            self.progress[note.params["sync_id"]] = note.params
        elif note.method == "sync_complete":
            self.progress.pop(note.params["sync_id"], None)
        elif note.method == "event":
            self.recent.append(note.params)
            size_bytes = note.params["body"].get("size")
            if note.params["kind"] == "file_synced" and isinstance(size_bytes, int):
                self._landed.append((time.monotonic(), note.params["target"], size_bytes))
