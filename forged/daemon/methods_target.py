"""`target.*`: how targets stand, and what people decide about them."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from forged.control.errors import InvalidParams
from forged.control.peers import Level
from forged.control.registry import Registry
from forged.daemon import answers, cursors
from forged.daemon.app import App
from forged.daemon.discoveries import Discoveries
from forged.daemon.fleet import Fleet, Member
from forged.daemon.standing import State
from forged.kit.units import parse_duration
from forged.model import rpc
from forged.model.errors import Cancelled, SourceError
from forged.model.manifest import Pause
from forged.model.paths import SourcePath
from forged.model.target import TargetName
from forged.sync.homecheck import check_home
from forged.sync.verify import ASIDE, Comparison, Symbol, Verdict, verdict

DRAIN_TIMEOUT = "1h"
"""How long a drain goes on without a `timeout`: a person stands by and wants to destroy the box."""

TAKING_S = 20.0
"""So long a drain waits for required handlers that take nothing: twice the time limit of a webhook."""


class TargetMethods:
    """The methods of this group; `register` makes them callable."""

    def __init__(self, fleet: Fleet, discoveries: Discoveries, app: App) -> None:
        self._fleet = fleet
        self._discoveries = discoveries
        self._app = app
        self._store = app.store
        self._clock = app.clock

    def register(self, registry: Registry) -> None:
        registry.add("target.list", self.list_targets, level=Level.LOOK)
        registry.add("target.status", self.status, level=Level.LOOK)
        registry.add("target.pause", self.pause, level=Level.STEER, finishes=True)
        registry.add("target.resume", self.resume, level=Level.STEER, finishes=True)
        registry.add("target.release", self.release, level=Level.STEER, finishes=True)
        registry.add("target.trust", self.trust, level=Level.ADMIN, finishes=True)
        registry.add("target.drain", self.drain, level=Level.STEER)
        registry.add("target.verify", self.verify, level=Level.LOOK)

    async def list_targets(self, limit: int = 500, cursor: str | None = None) -> rpc.Targets:
        """All targets, in the order of the configuration."""
        members = self._fleet.members
        names = [member.standing.target.name for member in members]
        if cursor and cursor not in names:
            raise cursors.bad_cursor()
        start = names.index(TargetName(cursor)) + 1 if cursor else 0
        most = max(1, min(limit, 500))
        page = members[start : start + most]
        rows = answers.fitting([answers.target(member.standing) for member in page])
        more = start + len(rows) < len(members)
        return {"success": True, "targets": rows, "next_cursor": rows[-1]["name"] if more else None}

    async def status(self, target: str) -> rpc.TargetStatus:
        """How one target stands."""
        return {"success": True, "target": answers.target(self._fleet.find(target).standing)}

    async def pause(self, target: str) -> rpc.Done:
        """Nothing is brought home and nothing is removed until `target.resume`; a running job is cancelled and resumes later."""
        member = self._fleet.find(target)
        pause = Pause(self._clock.now_ns())
        await self._store.flags.set_pause(member.standing.target.manifest, pause)
        member.standing.paused(pause)
        for active in member.work.jobs():
            member.work.cancel(active, Cancelled(f"{target} was paused; what has landed stays, the rest comes after `resume`"))
        member.runner.watching.interrupt()
        return {"success": True, "message": f"{target} is paused; `forgectl resume {target}` goes on"}

    async def resume(self, target: str) -> rpc.Done:
        """Ends a pause, and looks at the source at once."""
        member = self._fleet.find(target)
        await self._store.flags.set_pause(member.standing.target.manifest, None)
        member.standing.paused(None)
        member.work.look()
        return {"success": True, "message": f"{target} goes on"}

    async def release(self, target: str) -> rpc.Released:
        """Ends a hold: what vanished is believed from now on, and cleanup may remove again.

        A box that its provider does not list any more is given up: its target goes, and what has landed stays.
        """
        member = self._fleet.find(target)
        if member.standing.state is State.LOST:
            return await self._give_up(member)
        held = await self._store.flags.hold(member.standing.target.manifest)
        if held is None:
            return {"success": True, "message": f"{target} was not held", "held": None}
        await member.work.believe()
        again = member.standing.hold
        message = f"{target} is released" if again is None else f"{target} is released, and held again: {again.message}"
        return {"success": True, "message": message, "held": answers.hold(held)}

    async def _give_up(self, member: Member) -> rpc.Released:
        files = member.standing.backlog[0]
        await self._store.flags.set_hold(member.standing.target.manifest, None)
        await self._discoveries.give_up(member.name)
        left = f"; {files:,} files of it never came home" if files else ""
        return {"success": True, "message": f"{member.name} is given up{left}", "held": None}

    async def trust(self, target: str, fingerprint: str) -> rpc.Done:
        """Accepts the host key that the box shows now, if it has this fingerprint: `SHA256:...`, typed or pasted by a person."""
        member = self._fleet.find(target)
        instance = member.standing.instance
        await self._app.trust(member.standing.target, fingerprint, instance.route if instance else None)
        if member.standing.pause is None:
            member.work.start_sync()
        return {"success": True, "message": f"{target}: {fingerprint} is pinned"}

    async def verify(
        self, target: str, rehash: bool = False, same: bool = False, limit: int = 500, cursor: str | None = None
    ) -> rpc.Verified:
        """Compares source, manifest and home, file by file; looks at home itself, and with `rehash` reads every byte of it."""
        member = self._fleet.find(target)
        after, problems = _place(cursor) if cursor else (None, 0)

        async def page() -> rpc.Verified:
            comparison = Comparison(member.runner.doors, rehash=rehash, after=after, after_problems=problems)
            return await _page(comparison, same, max(1, min(limit, 500)))

        return await member.work.in_turn("verify", page)

    async def drain(self, target: str, timeout: str = DRAIN_TIMEOUT) -> rpc.Drained:
        """Syncs until nothing is left, then answers whether the box is safe to destroy, with what is missing (promise 14)."""
        member = self._fleet.find(target)
        deadline_s = self._clock.monotonic_s() + _duration_s(timeout)

        async def look_at_home() -> None:
            await check_home(member.runner.doors)  # what a failing disk has lost is asked for again

        with suppress(SourceError):  # a line that breaks now is met by the sync as well
            await member.work.in_turn("verify", look_at_home)
        synced = await self._sync_until_quiet(member, deadline_s)

        await self._until_taken(member, deadline_s)

        async def judge() -> Verdict:
            await check_home(member.runner.doors)
            return await verdict(member.runner.doors)

        return _drained(target, await member.work.in_turn("verify", judge), synced)

    async def _until_taken(self, member: Member, deadline_s: float) -> None:
        """Required handlers are waited for as long as they take something: what came home a moment ago needs a moment more."""
        manifest, required = member.standing.target.manifest, member.runner.doors.takers.required()
        least, since_s = None, self._clock.monotonic_s()
        while required:
            waiting = (await self._store.media.count_waiting()).get(manifest, 0)
            waiting += sum([await self._store.outbox.waiting(handler) for handler in required])
            now_s = self._clock.monotonic_s()
            if least is None or waiting < least:
                least, since_s = waiting, now_s
            if not waiting or now_s - since_s > TAKING_S or now_s > deadline_s:
                return
            await self._clock.sleep(0.2)

    async def _sync_until_quiet(self, member: Member, deadline_s: float) -> bool:
        """Sync after sync while files are still being written. False when time ran out or a sync failed."""
        while True:
            active = member.work.start_sync()
            try:
                async with asyncio.timeout(deadline_s - self._clock.monotonic_s()):
                    await active.ended.wait()
            except TimeoutError:
                return False
            finally:
                member.work.cancel(active)
            ended = active.job.result
            if ended is None or not ended.success:
                return False
            if not member.standing.left_files:
                return True
            await self._clock.sleep(member.standing.target.settle.settle_s + 0.1)


def _duration_s(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError as e:
        raise InvalidParams(hint=f"`timeout`: {e}") from e


def _place(cursor: str) -> tuple[SourcePath | None, int]:
    """Behind which path a page begins; or, after a slash, which no path begins with, behind how many problems."""
    place = cursors.decoded(cursor)
    if not place.startswith(b"/"):
        return cursors.path(cursor), 0
    if not place[1:].isdigit():
        raise cursors.bad_cursor()
    return None, cursors.number(place[1:].decode("ascii"))


async def _page(comparison: Comparison, same: bool, most: int) -> rpc.Verified:
    """One page of a comparison. It ends early when it is full; the next one begins behind its last path."""
    rows: list[rpc.Compared] = []
    counts: dict[rpc.Symbol, int] = {"=": 0, "-": 0, "+": 0, "*": 0}
    cursor, used_bytes = None, 0
    async for one in comparison.rows():
        counts[one.symbol.value] += 1
        if same or one.symbol is not Symbol.SAME or one.why:
            rows.append(answers.compared(one))
            used_bytes += answers.json_bytes(rows[-1])
        if len(rows) >= most or used_bytes >= answers.ROOM_BYTES:
            place = b"/%d" % comparison.problems_told if comparison.problems_told else one.path
            cursor = cursors.encoded(place)
            break
    return {"success": comparison.scan.error is None, "rows": rows, "counts": counts, "next_cursor": cursor}


def _drained(target: str, answer: Verdict, synced: bool) -> rpc.Drained:
    safe = synced and answer.safe
    missing = [answers.path_why(one) for one in answer.missing[: answers.MOST_NAMED]]
    aside = [answers.path_why(one) for one in answer.aside[: answers.MOST_NAMED]]
    return {
        "success": synced and answer.complete,
        "safe_to_destroy": safe,
        "message": f"{target}: safe to destroy: {'yes' if safe else 'no'}",
        "files_at_source": answer.files,
        "bytes_at_source": answer.size_bytes,
        "counts": dict(answer.counts),
        "missing": (named := answers.fitting(missing)),
        "missing_unnamed": answer.unsafe - len(named),
        "aside": (knowingly := answers.fitting(aside)),
        "aside_unnamed": sum(answer.counts[why] for why in ASIDE) - len(knowingly),
    }
