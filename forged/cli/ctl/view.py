"""What the live view knows at the moment, put together from answers and notifications."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from forged.cli.ctl.asking import Asking
from forged.control.client import Notification

if TYPE_CHECKING:
    from forged.model import rpc

RECENT_KEPT = 100
RATES_KEPT = 240
"""A rate for each look: minutes, and more than any terminal has columns for."""

MB = 1_000_000


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

    def subscribe(self, asking: Asking) -> None:
        """From now on notifications come."""
        asking.call("sync.subscribe")
        subscribed: rpc.EventsSubscribed = asking.call("events.subscribe")
        self.recent.extend(subscribed["recent"])

    def look(self, asking: Asking) -> None:
        """Asks for everything that does not come by itself."""
        self.targets = asking.whole("target.list", "targets")["targets"]
        self.daemon = asking.call("daemon.status")
        active: rpc.Jobs = asking.call("sync.active")
        self.names = {job["sync_id"]: job["target"] for job in active["jobs"]}
        self.progress = {id_: progress for id_, progress in self.progress.items() if id_ in self.names}
        self.rates.append(self.bytes_per_s)

    @property
    def bytes_per_s(self) -> float:
        """Of all jobs together."""
        return sum(progress["transfer_rate_mbps"] for progress in self.progress.values()) * MB

    @property
    def jobs(self) -> list[tuple[str, rpc.Progress]]:
        """The jobs at work, each with its target's name."""
        return [(self.names[id_], progress) for id_, progress in self.progress.items() if id_ in self.names]

    def take(self, note: Notification) -> None:
        """One notification. A job that is new here is drawn from the next look on, when its target is known."""
        if note.method == "sync_progress":
            self.progress[note.params["sync_id"]] = note.params
        elif note.method == "sync_complete":
            self.progress.pop(note.params["sync_id"], None)
        elif note.method == "event":
            self.recent.append(note.params)
