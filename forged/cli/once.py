"""`forged once`: the configured targets, one sync each, and the telling of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import assert_never

from forged.cli import handed, lines, results
from forged.cli.logbook import logbook, observer
from forged.cli.places import user_home
from forged.cli.running import run
from forged.cli.telling import Manner, print_json, say, trouble
from forged.daemon.app import App
from forged.daemon.progress import Progress
from forged.kit.clock import Clock, SystemClock
from forged.model.errors import StateDirectoryBusy, StoreDamaged
from forged.model.observer import Everyone
from forged.model.settings import Config
from forged.model.target import Target
from forged.sync.cycle import RoundResult
from forged.sync.preview import Preview


def sync(config: Config, names: Sequence[str], manner: Manner) -> bool:
    """Brings home what is new and says so; answers whether all went well. Raises ForgedError when nothing could begin.

    Where a daemon has the state directory, it does the work.
    """
    clock = SystemClock()
    started_s = clock.monotonic_s()
    try:
        done = run(_sync(config, names, manner, clock))
    except StateDirectoryBusy:
        with handed.daemon_of(config) as daemon:
            if daemon is None:
                raise
            return handed.sync(daemon, names, manner)
    if manner is Manner.JSON:
        print_json(results.document(done, dry_run=False, duration_s=clock.monotonic_s() - started_s))
    else:
        say(results.summary(done))
    return results.succeeded(done)


def preview(config: Config, names: Sequence[str], manner: Manner) -> bool:
    """Says what a sync would bring home; changes nothing there and nothing here."""
    clock = SystemClock()
    started_s = clock.monotonic_s()
    try:
        seen = run(_preview(config, names, clock))
    except StateDirectoryBusy:
        with handed.daemon_of(config) as daemon:
            if daemon is None:
                raise
            return handed.preview(daemon, names, manner)
    if manner is Manner.JSON:
        print_json(results.document(seen, dry_run=True, duration_s=clock.monotonic_s() - started_s))
    else:
        say(line for one in seen for line in results.preview_lines(one))
    return results.succeeded(seen)


async def _sync(config: Config, names: Sequence[str], manner: Manner, clock: Clock) -> list[RoundResult]:
    progress = Progress(clock)
    heard = Everyone(progress)
    async with App.open(config, observer=heard, ssh_home=user_home()) as app:
        if app.rebuilt is not None:
            say(trouble("forged", StoreDamaged(app.rebuilt.message, hint=app.rebuilt.hint)), to_stderr=True)
        what = await app.wanted(names)
        targets = [one.target for one in what.awake]
        progress.expect(target.name for target in targets)
        if manner is not Manner.JSON:
            say(lines.asleep(what))
        with logbook(config.daemon) as book:
            heard.also(observer(book))
            async with shown(progress, targets, manner, clock):
                done = await app.once(what)
            if book is not None:
                book.ended(done)
        return done


async def _preview(config: Config, names: Sequence[str], clock: Clock) -> list[Preview]:
    async with App.open(config, observer=Progress(clock), ssh_home=user_home(), rebuild=False) as app:
        return await app.preview(await app.wanted(names))


@asynccontextmanager
async def shown(progress: Progress, targets: Sequence[Target], manner: Manner, clock: Clock) -> AsyncIterator[None]:
    """Progress while the block runs, in the manner that suits who looks."""
    match manner:
        case Manner.JSON:
            yield
        case Manner.SCREEN:
            from forged.cli.bars import bars

            async with bars(progress, clock):
                yield
        case Manner.LINES:
            say(lines.beginning(targets))
            async with lines.ticking(progress, clock):
                yield
        case _:
            assert_never(manner)
