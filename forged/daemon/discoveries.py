"""All discoveries: begun, changed and ended as the configuration says. Each asks in a task of its own: a slow one stops none."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection

from forged.daemon.bell import Bell
from forged.daemon.discovered import Discovered
from forged.daemon.fleet import BEGIN_ANEW_S, Difference, Fleet
from forged.daemon.runner import REPORT
from forged.discovery.base import Discovery
from forged.kit.clock import Clock
from forged.kit.logs import Log
from forged.kit.tasks import Tasks
from forged.metrics.metrics import Metrics
from forged.model.alarms import AlarmKind
from forged.model.settings import Config, DiscoverySettings
from forged.store.base import Store

Make = Callable[[DiscoverySettings], Discovery]


class Discoveries:
    """By name, in the order of the configuration."""

    def __init__(
        self,
        make: Make,
        store: Store,
        fleet: Fleet,
        bell: Bell,
        metrics: Metrics,
        clock: Clock,
        log: Log,
        *,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """`make` opens the discovery for its settings."""
        self._make = make
        self._store = store
        self._fleet = fleet
        self._bell = bell
        self._metrics = metrics
        self._clock = clock
        self._log = log
        self._chance = chance
        self._all: dict[str, Discovered] = {}
        self._tasks = Tasks(self._ended)

    @property
    def all(self) -> list[Discovered]:
        return list(self._all.values())

    def difference(self, config: Config) -> Difference:
        """What `apply` would change about targets."""
        wanted, taken = {one.name: one for one in config.discoveries}, _taken(config)
        difference = Difference()
        for name, one in self._all.items():
            if name in wanted:
                difference |= one.difference(wanted[name], taken)
            else:
                difference |= self._fleet.difference_found(name, ())
        return difference

    async def apply(self, config: Config) -> None:
        """Makes the discoveries of `config` the ones that ask. Those that stay ask at once, and are not disturbed otherwise.

        Comes after the configuration was applied to the fleet. Nobody is waited for who has to be asked. Raises StoreError,
        when all the others have begun.
        """
        wanted = {one.name: one for one in config.discoveries}
        await asyncio.gather(*(self._remove(name) for name in list(self._all) if name not in wanted))
        await self._forget_others(list(wanted))
        ends = await asyncio.gather(*(self._renew(one, _taken(config)) for one in config.discoveries), return_exceptions=True)
        self._all = {name: self._all[name] for name in wanted if name in self._all}
        for error in ends:
            if error is not None:
                raise error

    async def give_up(self, target: str) -> None:
        """A person does not wait any longer for what is left of a box that is gone. Raises UnknownTarget."""
        instance = self._fleet.find(target).standing.instance
        if instance is not None and instance.discovery in self._all:
            await self._all[instance.discovery].give_up(target)

    async def stop(self) -> None:
        """Nothing is asked any more. The targets stay, for whoever ends them."""
        await asyncio.gather(*(self._end(name) for name in list(self._all)))
        self._all = {}

    async def _renew(self, settings: DiscoverySettings, taken: tuple[Collection[str], Collection[str]]) -> None:
        known = self._all.get(settings.name)
        if known is None or known.settings.finder != settings.finder:
            await self._begin(settings, known)
        one = self._all[settings.name]
        one.settings, one.taken = settings, taken
        await one.settle()
        if _task(settings.name) in self._tasks.names:
            one.ask_at_once()
        else:
            self._tasks.start(_task(settings.name), one.run())

    async def _begin(self, settings: DiscoverySettings, before: Discovered | None) -> None:
        """A new one, or one that asks another way from now on: what was known stays known."""
        if before is not None:
            await self._end(settings.name)
        one = Discovered(
            settings,
            self._make(settings),
            self._store,
            self._fleet,
            self._bell,
            self._metrics,
            self._clock,
            self._log,
            self._chance,
        )
        await one.restore()
        if before is not None:
            one.book = before.book
        self._all[settings.name] = one

    async def _remove(self, name: str) -> None:
        await self._end(name)
        del self._all[name]
        await self._fleet.found(name, ())
        self._metrics.forget_discovery(name)

    async def _end(self, name: str) -> None:
        await self._tasks.stop(_task(name))
        await self._all[name].asks.aclose()

    async def _forget_others(self, names: Collection[str]) -> None:
        await self._store.boxes.keep_only(list(names))
        await self._bell.forget([AlarmKind.DISCOVERY], names)

    def _ended(self, name: str, error: BaseException | None) -> None:
        """A bug of ours. Said loudly, and it begins anew."""
        self._log.error("a task ended unexpectedly; it is started again", task=name, exc_info=error, hint=REPORT)
        asyncio.get_running_loop().call_later(BEGIN_ANEW_S, self._restart, name)

    def _restart(self, task: str) -> None:
        one = self._all.get(task.removeprefix(_task("")))
        if one is not None and task not in self._tasks.names:
            self._tasks.start(task, one.run())


def _task(name: str) -> str:
    return f"discovery {name}"


def _taken(config: Config) -> tuple[Collection[str], Collection[str]]:
    return [target.name for target in config.targets], [one.name for one in config.discoveries]
