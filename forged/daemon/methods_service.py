"""`daemon.*`, `events.subscribe` and `transfer.limit`: the daemon as a whole."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import Struct

import forged
from forged.config.mistakes import told
from forged.control.peers import Level
from forged.control.publisher import Connection, Publisher
from forged.control.registry import Registry
from forged.daemon import answers
from forged.daemon.app import App
from forged.daemon.conditions import Conditions
from forged.daemon.couriers import Couriers
from forged.daemon.discoveries import Discoveries
from forged.daemon.enriching import Enriching
from forged.daemon.fleet import Fleet
from forged.daemon.jobbook import JobBook
from forged.daemon.limits import PersonsLimits
from forged.daemon.reload import Reloader
from forged.kit.clock import Clock
from forged.model import rpc
from forged.model.events import EventKind, NewEvent
from forged.model.jobs import Job
from forged.model.observer import Fact, FilesLanded
from forged.model.paths import shown
from forged.model.transfer import Landed

RECENT_EVENTS = 200
"""Events that a new subscriber is told at once: what a person likes to see when they begin to look."""


class _Happened(Struct, frozen=True):
    """One event. It is put into words when somebody reads them: a first sync makes more events than anyone will."""

    id: int
    at_ns: int
    target: str
    what: Landed | Job | NewEvent
    latency_s: float = 0.0

    def told(self) -> rpc.Event:
        if isinstance(self.what, NewEvent):
            kind, key, body = self.what.kind, self.what.key, json.loads(self.what.body)
        else:
            kind, key, body = _of_file(self.what, self.latency_s) if isinstance(self.what, Landed) else _of_job(self.what)
        at = answers.time_text(self.at_ns)
        return {"id": self.id, "kind": kind.value, "target": self.target, "at": at, "key": key, "body": body}


class LiveEvents:
    """What just happened, for `events.subscribe`. An observer; ids ascend from the daemon's start on."""

    def __init__(self, publisher: Publisher, clock: Clock) -> None:
        self._publisher = publisher
        self._clock = clock
        self._last_id = 0
        self._recent: deque[_Happened] = deque(maxlen=RECENT_EVENTS)

    @property
    def recent(self) -> list[rpc.Event]:
        """The newest, oldest first."""
        return [event.told() for event in self._recent]

    def notice(self, fact: Fact) -> None:
        if isinstance(fact, FilesLanded):
            # Of many files, those that would be forgotten again at once count only where somebody listens.
            listened = self._publisher.is_wanted("event", fact.target)
            files = fact.landed if listened else fact.landed[-RECENT_EVENTS:]
            self._last_id += len(fact.landed) - len(files)
            for one in files:
                self._happened(fact.target, one, fact.latency_s(one))

    def job_ended(self, job: Job) -> None:
        self._happened(job.target, job)

    def alarm(self, event: NewEvent) -> None:
        """One that goes to the handlers as well."""
        self._happened(event.target, event)

    def _happened(self, target: str, what: Landed | Job | NewEvent, latency_s: float = 0.0) -> None:
        self._last_id += 1
        event = _Happened(self._last_id, self._clock.now_ns(), target, what, latency_s)
        self._recent.append(event)
        if self._publisher.is_wanted("event", target):
            self._publisher.publish("event", event.told(), key=target)


def _of_file(landed: Landed, latency_s: float) -> tuple[EventKind, str, dict[str, object]]:
    body: dict[str, object] = {
        **answers.path_of(landed.entry.path),
        "size": landed.entry.stat.size_bytes,
        "sha256": landed.sha256.hex(),
        "how": landed.how.value,
        "incomplete": landed.incomplete,
        "latency_seconds": round(latency_s, 3),
    }
    return EventKind.FILE_SYNCED, shown(landed.home), body


def _of_job(job: Job) -> tuple[EventKind, str, dict[str, object]]:
    kind = EventKind.SYNC_COMPLETE if job.result and job.result.success else EventKind.SYNC_FAILED
    return kind, job.sync_id, dict(answers.job(job))


@dataclass(frozen=True, slots=True)
class ServiceFacts:
    """What the daemon knows of itself."""

    started_ns: int
    metrics_address: str | None
    connections: Callable[[], int]
    conditions: Conditions
    """Which of its own tasks stand still."""


class ServiceMethods:
    """The methods of this group; `register` makes them callable."""

    def __init__(
        self,
        app: App,
        fleet: Fleet,
        discoveries: Discoveries,
        couriers: Couriers,
        enriching: Enriching,
        jobs: JobBook,
        reloader: Reloader,
        events: LiveEvents,
        facts: ServiceFacts,
    ) -> None:
        self._app = app
        self._fleet = fleet
        self._discoveries = discoveries
        self._couriers = couriers
        self._enriching = enriching
        self._jobs = jobs
        self._reloader = reloader
        self._events = events
        self._facts = facts
        self._limits = PersonsLimits(app.pool, app.store.limits)

    def register(self, registry: Registry) -> None:
        registry.add("daemon.status", self.status, level=Level.LOOK)
        registry.add("daemon.reload", self.reload, level=Level.STEER, finishes=True)
        registry.add("events.subscribe", self.subscribe, level=Level.LOOK)
        registry.add("transfer.limit", self.limit, level=Level.STEER, finishes=True, tells_without="limit")

    async def status(self) -> rpc.DaemonStatus:
        """The daemon itself."""
        config, last = self._app.config, self._reloader.last
        await self._couriers.count()
        reloaded: rpc.LastReload | None = None
        if last is not None:
            reloaded = {"at": answers.time_text(last.at_ns), "success": last.success, "message": last.message}
        return {
            "success": True,
            "version": forged.__version__,
            "pid": os.getpid(),
            "started_at": answers.time_text(self._facts.started_ns),
            "config": told(config.path),
            "state_dir": told(config.daemon.state_dir),
            "socket": told(config.daemon.socket),
            "metrics": self._facts.metrics_address,
            "targets": len(self._fleet.members),
            "jobs_active": len(self._jobs.active),
            "connections": self._facts.connections(),
            "last_reload": reloaded,
            "discoveries": [answers.discovery(one) for one in self._discoveries.all],
            "handlers": [answers.handler(one) for one in self._couriers.all],
            "media": {"waiting": await self._enriching.count()},
            "problems": [
                *answers.problems(self._facts.conditions),
                *answers.refused_reload(last),
                *answers.problems(self._enriching.conditions),
            ],
        }

    async def reload(self, wait: bool = True) -> rpc.Reloaded:
        """Reads the configuration file again. A file with mistakes changes nothing; they are in `problems`."""
        answer = await self._reloader.reload()
        return {
            "success": answer.success,
            "message": answer.message,
            "problems": list(answer.problems),
            "added": list(answer.difference.added),
            "removed": list(answer.difference.removed),
            "changed": list(answer.difference.changed),
            "restart_needed": list(answer.restart_needed),
        }

    async def subscribe(self, connection: Connection, target: str | None = None) -> rpc.EventsSubscribed:
        """From now on `event` notifications come on this connection: of one target, or of all."""
        connection.subscribe("event", target)
        newest_first = [event for event in reversed(self._events.recent) if target in (None, event["target"])]
        return {"success": True, "recent": answers.fitting(newest_first, 2 * answers.ROOM_BYTES)[::-1]}

    async def restore_limits(self) -> None:
        """At the start, before the targets: limits that were kept hold again."""
        await self._limits.restore()

    async def limit(self, target: str | None = None, limit: str | None = None, keep: bool = False) -> rpc.Limits:
        """Tells the bandwidth limits; with `limit` changes one: a rate, `off` or a timetable, or `config` for the configured one.

        It holds until the next restart, with `keep` over restarts as well; `config` forgets a kept one.
        """
        message = ""
        if limit is not None:
            if target is not None:
                self._fleet.find(target)
            await self._limits.change(target, limit, keep=keep)
            message = f"{target or 'all targets'}: {limit}"
        return {"success": True, "message": message, "limits": self._limits.shown()}
