"""`forged run`: start and stop as one story. Each step says why it stands where it stands."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path

import forged
from forged.config.load import load
from forged.control.listening import inherited, listen
from forged.daemon.app import App
from forged.daemon.fleet import BEGIN_ANEW_S
from forged.daemon.gauges import Gauges
from forged.daemon.house import LOGGER, House, furnished, methods
from forged.daemon.reload import Reloader
from forged.daemon.runner import REPORT
from forged.kit.clock import Clock, SystemClock
from forged.kit.descriptors import allow_many_open_files
from forged.kit.garbage import collect_rarely
from forged.kit.logs import Log, Style, configure, logger
from forged.kit.notify import Notifier
from forged.kit.signs import Alive
from forged.kit.tasks import Eternal
from forged.metrics.metrics import Metrics
from forged.metrics.page import MetricsPage
from forged.model.errors import ConfigError, ForgedError, StoreError
from forged.model.exits import Exit
from forged.model.observer import Everyone
from forged.model.settings import Config

ANSWER_LIMIT_S = 5.0
"""For the answers that are under way when forged stops; the targets end meanwhile, and so what waits for them is answered soon."""

STOP_LIMIT_S = 8.5
"""For all of the stop. Whoever stops a service waits 10 s patiently; a disk or a line that hangs must not take longer. What is on
disk is safe at any moment, so after that forged just leaves."""

LISTEN_AGAIN_S = 60.0
"""Who waits for SIGHUP gives a sign of life so often."""


def run_daemon(config_path: Path, env: Mapping[str, str], home: Path) -> int:
    """Runs until SIGTERM or SIGINT; answers the exit status. Errors are said on standard error, all of them at once."""
    import uvloop

    def read() -> Config:
        return load(config_path, env, is_root=os.geteuid() == 0)

    allow_many_open_files()
    try:
        return uvloop.run(_Daemon(read, env, home).run())
    except ConfigError as error:
        sys.stderr.write("".join(f"{problem}\n" for problem in error.problems))
        return Exit.WRONG_USE
    except ForgedError as error:
        sys.stderr.write(f"forged: {error.message}\n" + (f"        {error.hint}\n" if error.hint else ""))
        return Exit.FAILED


class _Daemon:
    """What the steps of the story share."""

    def __init__(self, read: Callable[[], Config], env: Mapping[str, str], home: Path) -> None:
        self._read = read
        self._env = env
        self._home = home
        self._clock: Clock = SystemClock()
        self._notifier = Notifier(env)
        self._stopping = asyncio.Event()
        self._hung_up = asyncio.Event()

    async def run(self) -> int:
        """Raises ConfigError and other ForgedErrors of the start; after READY signals end it, or that its memory is another's."""
        async with AsyncExitStack() as stack:
            self._hear_signals()  # first, so that none is lost
            config = self._read()
            log = self._open_logs(config, stack)
            house = await self._move_in(config, log, stack)
            await self._apply(house, stack)
            await self._open_the_door(house, config, stack)
            self._begin(house, log, stack)
            collect_rarely()
            self._notifier.ready(_status(house))
            log.info("forged runs", version=forged.__version__, targets=len(config.targets), socket=str(config.daemon.socket))
            taken = await self._until_the_end(house.app)
            if taken is not None:
                log.error(taken.message, hint=taken.hint)
            await self._end(house, log)
        return Exit.WELL if taken is None else Exit.FAILED

    async def _until_the_end(self, app: App) -> StoreError | None:
        """A signal, or that the memory is another forged's: what this one knows is past then, and only a new start tells more."""
        asked = asyncio.create_task(self._stopping.wait(), name="waiting for a signal")
        taken = asyncio.ensure_future(app.state.taken())
        try:
            await asyncio.wait([asked, taken], return_when=asyncio.FIRST_COMPLETED)
            return taken.result() if taken.done() else None
        finally:
            asked.cancel()
            taken.cancel()

    # --- the start --------------------------------------------------------------------------------------------------------

    async def _move_in(self, config: Config, log: Log, stack: AsyncExitStack) -> House:
        """The lock on the state directory comes with the store: before sockets and ports, which another forged may hold."""
        app = await stack.enter_async_context(App.open(config, observer=Everyone(), ssh_home=self._home, clock=self._clock))
        if app.rebuilt is not None:
            log.error(app.rebuilt.message, hint=app.rebuilt.hint)
        metrics = Metrics(self._clock, version=forged.__version__)
        house = furnished(app, self._read, self._notifier, metrics, self._env, log)
        service = methods(house, await self._metrics_page(config, metrics, house.gauges, stack))
        await service.restore_limits()
        await house.bell.restore()
        return house

    async def _apply(self, house: House, stack: AsyncExitStack) -> None:
        """Subscribing applies the configuration at once: start and reload share one path. Discoveries come after the fleet."""
        stack.push_async_callback(house.adhoc.stop)
        await house.configs.subscribe(self._apply_log_level)
        await house.configs.subscribe(house.app.apply)
        stack.push_async_callback(house.couriers.stop)
        await house.configs.subscribe(house.couriers.apply)
        stack.push_async_callback(house.fleet.stop)
        await house.configs.subscribe(house.fleet.apply)
        stack.push_async_callback(house.discoveries.stop)
        await house.configs.subscribe(house.discoveries.apply)
        house.fleet.timetable.start()
        stack.callback(house.fleet.timetable.stop)

    async def _open_the_door(self, house: House, config: Config, stack: AsyncExitStack) -> None:
        """From here on people can ask."""
        listening = inherited(dict(self._env)) or listen(
            config.daemon.socket, mode=config.daemon.socket_mode, group=config.daemon.socket_group or ""
        )
        stack.callback(listening.close)
        await house.server.start(listening)
        stack.push_async_callback(house.server.stop, ANSWER_LIMIT_S)

    def _begin(self, house: House, log: Log, stack: AsyncExitStack) -> None:
        """What goes on for as long as the daemon lives."""

        def ended(name: str, error: BaseException | None) -> None:
            log.error("a task ended unexpectedly; it is started again", task=name, exc_info=error, hint=REPORT)

        self._tasks = Eternal(ended, BEGIN_ANEW_S)
        stack.push_async_callback(self._tasks.stop_all)
        self._tasks.start("telling systemd", lambda: house.watchdog.keep_telling(lambda: _status(house)))
        self._tasks.start("bringing again", house.replays.keep_going)

        def watched(name: str, work: Callable[[Alive], Coroutine[None, None, None]]) -> None:
            self._tasks.start(name, lambda: work(house.watchdog.sign_of(name)))

        watched("telling progress", house.jobs.keep_telling)
        watched("watching for alarms", house.watchman.watch)
        watched("pruning events", house.couriers.keep_pruning)
        watched("looking for exiftool", house.enriching.watch)
        watched("asking what is free", house.free_space.watch)
        watched("reloading", lambda alive: self._keep_reloading(house.reloader, log, alive))

    async def _end(self, house: House, log: Log) -> None:
        self._notifier.stopping()
        log.info("forged stops: transfers end where they are and resume at the next start")
        asyncio.get_running_loop().call_later(STOP_LIMIT_S, self._leave_it, log)
        house.fleet.timetable.stop()
        await self._tasks.stop("reloading")
        await house.discoveries.stop()  # no targets come any more
        # Side by side: the end of the targets ends the calls that wait for them.
        await asyncio.gather(house.server.stop(ANSWER_LIMIT_S), house.fleet.stop(), house.adhoc.stop())

    # --- the steps --------------------------------------------------------------------------------------------------------

    def _hear_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop)
        loop.add_signal_handler(signal.SIGHUP, self._hung_up.set)

    def _stop(self) -> None:
        """The first asks for an orderly end; the second ends at once: what is on disk is safe at any moment."""
        if self._stopping.is_set():
            os._exit(Exit.FAILED)
        self._stopping.set()

    def _leave_it(self, log: Log) -> None:
        """Something does not end."""
        hanging = sorted({task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()})
        hint = "the next start goes on where this one was; what hangs is named, such as a disk or a box that does not answer"
        log.warning("forged leaves without waiting any longer: what has landed is safe", still_at_work=hanging[:10], hint=hint)
        self._logs.close()
        os._exit(Exit.WELL)

    async def _keep_reloading(self, reloader: Reloader, log: Log, alive: Alive) -> None:
        """SIGHUPs that come while a reload is at work are one: it reads the file as it is then."""
        while True:
            alive()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._hung_up.wait(), LISTEN_AGAIN_S)
            if not self._hung_up.is_set():
                continue
            self._hung_up.clear()
            reload = asyncio.create_task(reloader.reload(), name="reload")
            await asyncio.wait([reload])
            if error := reload.exception():  # a fault of ours must not make forged deaf for the next SIGHUP
                log.error("forged stumbled over a mistake of its own while reloading", exc_info=error, hint=REPORT)

    def _open_logs(self, config: Config, stack: AsyncExitStack) -> Log:
        settings = config.daemon
        level, style = settings.log_level.value, Style(settings.log_format.value)
        set_up = partial(configure, "forged", sys.stderr, level=level, style=style, environ=self._env)
        trouble: OSError | None = None
        try:
            self._logs = set_up(folder=settings.log_dir)
        except OSError as error:  # files home are worth more than lines about them
            self._logs, trouble = set_up(), error
        stack.enter_context(self._logs)
        log = logger(LOGGER)
        if trouble is not None:
            hint = "make $LOG_BASE a folder that this user may write to, and start forged again; until then the lines are here only"
            log.warning("log files cannot be written", folder=str(settings.log_dir), reason=trouble.strerror, hint=hint)
        return log

    async def _apply_log_level(self, config: Config) -> None:
        self._logs.set_level(config.daemon.log_level.value)

    async def _metrics_page(self, config: Config, metrics: Metrics, gauges: Gauges, stack: AsyncExitStack) -> str | None:
        if config.daemon.metrics is None:
            return None
        page = MetricsPage(config.daemon.metrics, metrics.registry, refresh=gauges.refresh)
        await stack.enter_async_context(page)
        return f"http://{page.address.host}:{page.address.port}/metrics"


def _status(house: House) -> str:
    """A refused configuration stays in sight until one is accepted (promise 8)."""
    members, reloader = house.fleet.members, house.reloader
    names = [member.name for member in members]
    troubled = [f"discovery {one.name}" for one in house.discoveries.all if one.conditions.problems]
    troubled += [f"ingest {one.name}" for one in house.couriers.all if one.conditions.problems]
    troubled += [member.name for member in members if member.standing.conditions.problems]
    how_many = f"{len(names)} target" + ("" if len(names) == 1 else "s")
    refused = f"{reloader.last.message}; " if reloader.last is not None and not reloader.last.success else ""
    return refused + how_many + (f"; in trouble: {', '.join(troubled)}" if troubled else ", all well")
