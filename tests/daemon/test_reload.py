"""Reading the configuration again: a bad file changes nothing, and what cannot change while forged runs is kept and named."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from forged.config.store import ConfigStore
from forged.daemon.fleet import Difference
from forged.daemon.reload import HALF_CHANGED, NOT_CHANGED, RESTART_ONLY, Reloader, restart_needed
from forged.kit.notify import Notifier
from forged.model.errors import ConfigError, StoreError
from forged.model.manifest import ManifestName, Pause
from forged.model.settings import Config, ListenAddress, LogFormat, LogLevel, StateSettings
from forged.model.target import Timing
from tests.daemon.grounds import Grounds, config, grounds, target
from tests.support.virtual import virtual

LATER = Timing(poll_s=60.0, watch=False)


class Notified(Notifier):
    """Writes down what systemd is told."""

    def __init__(self) -> None:
        super().__init__({})
        self.told: list[str] = []

    def reloading(self) -> bool:
        self.told.append("reloading")
        return True

    def ready(self, status: str = "") -> bool:
        self.told.append(f"ready: {status}")
        return True


class Reloading:
    """A daemon's configuration and the file that it is read from; `file` may also be an error."""

    def __init__(self, world: Grounds, first: Config) -> None:
        self.world, self.file = world, first
        self.trouble: ConfigError | None = None
        self.store = ConfigStore(first)
        self.notified = Notified()
        clock, log, metrics = world.clock, world.heard, world.metrics
        self.reloader = Reloader(self._read, self.store, world.fleet.difference, metrics, self.notified, clock, log)

    def _read(self) -> Config:
        if self.trouble is not None:
            raise self.trouble
        return self.file

    def count(self, result: str) -> float | None:
        return self.world.metrics.registry.get_sample_value("forged_reloads_total", {"result": result})


@asynccontextmanager
async def reloading(first: Config) -> AsyncIterator[Reloading]:
    async with grounds() as world:
        made = Reloading(world, first)
        await made.store.subscribe(world.fleet.apply)
        await asyncio.sleep(0.01)
        yield made


@virtual
async def test_a_reload_makes_the_targets_of_the_file_the_ones_that_run() -> None:
    async with reloading(config(target("stays"), target("goes"))) as it:
        it.file = config(target("stays"), target("comes"))
        answer = await it.reloader.reload()
        assert (answer.success, answer.problems) == (True, ())
        assert answer.difference == Difference(added=("comes",), removed=("goes",))
        assert answer.message == "configuration reloaded: 1 added, 1 removed"
        assert [member.standing.target.name for member in it.world.fleet.members] == ["stays", "comes"]
        assert it.notified.told == ["reloading", f"ready: {answer.message}"]
        assert it.world.heard.said == [answer.message]
        assert (it.count("changed"), it.count("refused")) == (1, 0)


@virtual
async def test_a_bad_file_changes_nothing_and_says_so_everywhere() -> None:
    async with reloading(config(target())) as it:
        member = it.world.member()
        it.trouble = ConfigError(("forged.toml:3: poll: not a duration", "forged.toml:9: dests: unknown key"))
        answer = await it.reloader.reload()
        assert (answer.success, answer.message) == (False, NOT_CHANGED)
        assert answer.problems == it.trouble.problems
        assert it.world.member() is member
        assert it.notified.told == ["reloading", f"ready: {NOT_CHANGED}"]
        ((level, event, fields),) = it.world.heard.lines
        assert (level, event, fields["problems"]) == ("error", NOT_CHANGED, list(it.trouble.problems))
        assert (it.count("changed"), it.count("refused")) == (0, 1)
        it.trouble = None
        assert (await it.reloader.reload()).success


CHANGES: dict[str, Callable[[Config], Config]] = {
    "daemon.state_dir": lambda c: replace(c, daemon=replace(c.daemon, state_dir=Path("/elsewhere"))),
    "daemon.socket": lambda c: replace(c, daemon=replace(c.daemon, socket=Path("/elsewhere"))),
    "daemon.socket_mode": lambda c: replace(c, daemon=replace(c.daemon, socket_mode=0o600)),
    "daemon.socket_group": lambda c: replace(c, daemon=replace(c.daemon, socket_group="media")),
    "daemon.metrics": lambda c: replace(c, daemon=replace(c.daemon, metrics=ListenAddress("127.0.0.1", 1))),
    "daemon.log_format": lambda c: replace(c, daemon=replace(c.daemon, log_format=LogFormat.JSON)),
    "state.url": lambda c: replace(c, state=StateSettings(Path("/elsewhere.db"))),
}


def test_every_key_that_needs_a_restart_is_tried() -> None:
    assert CHANGES.keys() == RESTART_ONLY.keys()
    first = config()
    for key, change in CHANGES.items():
        assert restart_needed(first, change(first)) == (key,)


@virtual
async def test_keys_that_need_a_restart_are_kept_and_named_each_time_and_the_rest_is_applied() -> None:
    first = config(target())
    async with reloading(first) as it:
        it.file = config(target(), target("comes"))
        for change in CHANGES.values():
            it.file = change(it.file)
        for _ in range(2):
            answer = await it.reloader.reload()
            assert answer.success
            assert answer.restart_needed == tuple(CHANGES)
            assert "needs a restart: daemon.state_dir, daemon.socket" in answer.message
            assert (it.store.current.daemon, it.store.current.state) == (first.daemon, first.state)
        assert len(it.world.fleet.members) == 2


@virtual
async def test_the_log_level_changes_at_once() -> None:
    first = config(target())
    async with reloading(first) as it:
        it.file = replace(first, daemon=replace(first.daemon, log_level=LogLevel.DEBUG))
        answer = await it.reloader.reload()
        assert answer.restart_needed == ()
        assert it.store.current.daemon.log_level is LogLevel.DEBUG


@virtual
async def test_reloads_at_the_same_time_are_done_one_after_the_other() -> None:
    async with reloading(config(target("one"))) as it:
        it.file = config(target("one"), target("two"))
        answers = await asyncio.gather(*(it.reloader.reload() for _ in range(5)))
        assert [answer.difference.added for answer in answers] == [("two",), (), (), (), ()]
        assert it.notified.told.count("reloading") == 5
        assert it.notified.told[::2] == ["reloading"] * 5


@virtual
async def test_a_state_database_that_fails_in_the_middle_is_made_good_by_the_next_reload() -> None:
    async with reloading(config(target("one"))) as it:
        pause = it.world.store.flags.pause

        async def fails(name: ManifestName) -> Pause | None:
            raise StoreError("the disk is full")

        it.world.store.flags.pause = fails  # type: ignore[method-assign]
        it.file = config(target("one", timing=LATER), target("two"))
        answer = await it.reloader.reload()
        assert (answer.success, answer.message, answer.problems) == (False, HALF_CHANGED, ("the disk is full",))
        it.world.store.flags.pause = pause  # type: ignore[method-assign]
        assert (await it.reloader.reload()).success
        assert [member.standing.target.name for member in it.world.fleet.members] == ["one", "two"]
        assert it.world.member("one").standing.target.timing == LATER
