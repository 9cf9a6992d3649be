"""The parts of a running daemon, put together: who knows whom. When they begin and end is `main`'s story."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import forged
from forged.config.store import ConfigStore
from forged.control.publisher import Publisher
from forged.control.registry import Registry
from forged.control.server import Server
from forged.daemon.adhoc import AdHoc
from forged.daemon.alarms import Watchman
from forged.daemon.app import App
from forged.daemon.bell import Bell
from forged.daemon.couriers import Couriers
from forged.daemon.diary import Diary
from forged.daemon.discoveries import Discoveries
from forged.daemon.enriching import Enriching
from forged.daemon.fleet import Difference, Fleet
from forged.daemon.freespace import FreeSpace
from forged.daemon.gauges import Gauges
from forged.daemon.jobbook import JobBook
from forged.daemon.methods_config import ConfigMethods
from forged.daemon.methods_files import FileMethods
from forged.daemon.methods_find import FindMethods
from forged.daemon.methods_ingest import IngestMethods
from forged.daemon.methods_media import MediaMethods
from forged.daemon.methods_service import LiveEvents, ServiceFacts, ServiceMethods
from forged.daemon.methods_sync import SyncMethods, Telling
from forged.daemon.methods_target import TargetMethods
from forged.daemon.reload import Reloader
from forged.daemon.replays import Replays
from forged.daemon.runner import REPORT
from forged.daemon.watchdog import Watchdog
from forged.kit.clock import Clock
from forged.kit.logs import Log, is_heard
from forged.kit.notify import Notifier
from forged.metrics.metrics import Metrics
from forged.model.events import NewEvent
from forged.model.jobs import Job
from forged.model.observer import Everyone
from forged.model.settings import Config

LOGGER = "forged.daemon"
"""Under this name all that the daemon has to say is logged."""


@dataclass(frozen=True, slots=True)
class House:
    """All parts that have a life of their own. Nothing runs yet."""

    app: App
    configs: ConfigStore
    jobs: JobBook
    events: LiveEvents
    fleet: Fleet
    enriching: Enriching
    bell: Bell
    couriers: Couriers
    replays: Replays
    watchman: Watchman
    discoveries: Discoveries
    reloader: Reloader
    adhoc: AdHoc
    server: Server
    registry: Registry
    gauges: Gauges
    watchdog: Watchdog
    free_space: FreeSpace


def furnished(
    app: App,
    read: Callable[[], Config],
    notifier: Notifier,
    metrics: Metrics,
    env: Mapping[str, str],
    log: Log,
) -> House:
    """Everything around an open app. `read` loads the configuration again."""
    clock, publisher = app.clock, Publisher()
    events = LiveEvents(publisher, clock)
    diary = Diary(log, lambda: is_heard(LOGGER, "debug"))
    jobs = _job_book(app, publisher, events, diary, clock)
    enriching = Enriching(app.sidecars, app.store, metrics, clock, log)
    couriers = Couriers(app.handler, app.store.outbox, app.store.ingests, metrics, clock, log)
    app.anybody_takes = couriers.anybody
    everyone = Everyone(events, couriers, diary)
    fleet = Fleet(app, jobs, metrics, log, everyone, enriching)

    def rung(event: NewEvent) -> None:
        events.alarm(event)
        couriers.news()

    bell = Bell(app.store.alarms, clock, rung)
    bell.anybody_takes = couriers.anybody
    discoveries = Discoveries(app.discovery, app.store, fleet, bell, metrics, clock, log)

    def difference(config: Config) -> Difference:
        return fleet.difference(config) | discoveries.difference(config)

    def report(where: str, fault: BaseException) -> None:
        log.error("forged stumbled over a mistake of its own in a method", where=where, exc_info=fault, hint=REPORT)

    configs, registry = ConfigStore(app.config), Registry("forged", forged.__version__)
    return House(
        app=app,
        configs=configs,
        jobs=jobs,
        events=events,
        fleet=fleet,
        enriching=enriching,
        bell=bell,
        couriers=couriers,
        replays=Replays(fleet, couriers, app.store, clock, log),
        watchman=Watchman(fleet, bell, clock, log),
        discoveries=discoveries,
        reloader=Reloader(read, configs, difference, metrics, notifier, clock, log),
        adhoc=AdHoc(app, fleet, jobs, everyone, env, log),
        server=Server(registry, publisher, report=report, acted=diary.asked),
        registry=registry,
        gauges=Gauges(fleet, app.pool, metrics),
        watchdog=Watchdog(notifier, clock, log),
        free_space=FreeSpace(fleet, clock),
    )


def methods(house: House, page: str | None) -> ServiceMethods:
    """Makes all methods callable. `page`: the address of the metrics page. Answers those of the service itself."""
    facts = ServiceFacts(house.app.clock.now_ns(), page, lambda: house.server.connections, house.watchdog.conditions)
    service = ServiceMethods(
        house.app,
        house.fleet,
        house.discoveries,
        house.couriers,
        house.enriching,
        house.jobs,
        house.reloader,
        house.events,
        facts,
    )
    service.register(house.registry)
    SyncMethods(house.fleet, house.adhoc, house.jobs, house.app.clock).register(house.registry)
    TargetMethods(house.fleet, house.discoveries, house.app).register(house.registry)
    FileMethods(house.fleet, house.app.store).register(house.registry)
    MediaMethods(house.fleet, house.enriching, house.app.store).register(house.registry)
    IngestMethods(house.couriers, house.replays, house.app.store.outbox).register(house.registry)
    FindMethods(house.app.finder()).register(house.registry)
    ConfigMethods(lambda: house.configs.current).register(house.registry)
    return service


def _job_book(app: App, publisher: Publisher, events: LiveEvents, diary: Diary, clock: Clock) -> JobBook:
    telling = Telling(publisher, clock)

    def ended(job: Job, kept: bool) -> None:
        telling.ended(job)
        diary.job_ended(job)
        if kept:
            events.job_ended(job)

    return JobBook(app.store, clock, telling.progressed, ended)
