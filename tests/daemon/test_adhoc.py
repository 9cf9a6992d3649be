"""Ad-hoc syncs: a target described in the call, from a real sshd, once, beside the fleet."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from forged.control.errors import InvalidParams, NotPermitted, TooBusy
from forged.control.peers import Level, Peer
from forged.daemon.adhoc import MOST_AT_ONCE, AdHoc, AlreadyRunning
from forged.daemon.adhoc_work import FAULT
from forged.daemon.app import App
from forged.daemon.enriching import Enriching
from forged.daemon.fleet import Fleet
from forged.daemon.jobbook import ActiveJob, JobBook
from forged.daemon.methods_sync import SyncMethods
from forged.kit.clock import SystemClock
from forged.kit.logs import logger
from forged.metrics.metrics import Metrics
from forged.model.jobs import Job
from forged.model.observer import Everyone, Fact, FilesWanted
from forged.model.target import Target
from tests.config.loading import loaded
from tests.support.sshd import Sshd

ROOT = Peer(0, 0, 1, frozenset(), Level.ADMIN)
MEMBER = Peer(1000, 1000, 1, frozenset(), Level.STEER)


@dataclass
class Ears:
    """An observer: `wanted` is set when a first file is about to come."""

    wanted: asyncio.Event = field(default_factory=asyncio.Event)

    def notice(self, fact: Fact) -> None:
        if isinstance(fact, FilesWanted):
            self.wanted.set()


class Bench:
    """The middle of a daemon over a real store, and a box behind sshd. `stop` and `start` are a restart."""

    def __init__(self, root: Path, sshd: Sshd, user_home: Path) -> None:
        self.root, self.sshd, self.user_home = root, sshd, user_home
        self.box, self.home = root / "box", root / "media"
        for folder in (self.box, self.home):
            folder.mkdir()
        self.ears = Ears()

    @asynccontextmanager
    async def started(self) -> AsyncIterator[Bench]:
        text = f'[daemon]\nstate_dir = "{self.root}/state"\n[transfer]\nmin_free = "1MB"\n'
        config = loaded(text, self.root)
        async with App.open(config, observer=Everyone(), ssh_home=self.user_home) as self.app:
            clock, log = SystemClock(), logger("test")
            self.jobs = JobBook(self.app.store, clock, lambda active, stage: None, lambda job, kept: None)
            metrics = Metrics(clock, version="0")
            enriching = Enriching(self.app.sidecars, self.app.store, metrics, clock, log)
            self.fleet = Fleet(self.app, self.jobs, metrics, log, Everyone(), enriching)
            self.adhoc = AdHoc(self.app, self.fleet, self.jobs, self.ears, {}, log)
            self.methods = SyncMethods(self.fleet, self.adhoc, self.jobs, clock)
            try:
                yield self
            finally:
                await self.adhoc.stop()
                await self.fleet.stop()

    def table(self, **more: object) -> dict[str, object]:
        """The box in the seed's words, without cleanup."""
        plain = {
            "source_host": f"{self.sshd.user}@127.0.0.1",
            "source_port": self.sshd.port,
            "source_path": str(self.box),
            "dest_path": str(self.home),
            "enable_cleanup": False,
            "identity_file": str(self.sshd.identity),
            "settle": "0s",
        }
        return plain | more

    async def run(self, **more: object) -> Job:
        """A call, to the end of its job."""
        active = self.adhoc.start(self.table(**more))
        await active.ended.wait()
        return active.job

    def write(self, *names: str, size_bytes: int = 5) -> None:
        """Old files, so that they are settled and old enough for any cleanup."""
        for name in names:
            path = self.box / name
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(os.urandom(size_bytes))
            os.utime(path, (1_700_000_000, 1_700_000_000))

    def at_home(self) -> list[str]:
        return sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*") if path.is_file() and not _ours(path))

    def at_source(self) -> list[str]:
        return sorted(path.name for path in self.box.rglob("*") if path.is_file())


def _ours(path: Path) -> bool:
    return ".forged" in path.parts


@pytest.fixture
async def bench(tmp_path: Path, sshd: Sshd, away_from_home: Path) -> AsyncIterator[Bench]:
    async with Bench(tmp_path, sshd, away_from_home).started() as bench:
        yield bench


async def silent_server() -> tuple[asyncio.Server, int]:
    """Somebody who takes connections and says nothing: what talks to it neither ends nor goes on."""

    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(say_nothing, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()[1]


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    server, port = await silent_server()
    yield port
    server.close()


# --- what it does -------------------------------------------------------------------------------------------------------------


async def test_the_files_come_home_and_the_job_says_so(bench: Bench) -> None:
    bench.write("a.bin", "sub/b.bin")
    job = await bench.run()
    assert job.result is not None
    assert (job.status.value, job.result.files_transferred, job.result.bytes_transferred) == ("complete", 2, 10)
    assert bench.at_home() == ["a.bin", "sub/b.bin"]
    assert await bench.app.store.jobs.recent() == [job]
    assert bench.jobs.active == {}


async def test_the_same_call_again_brings_only_what_is_new_also_after_a_restart(
    tmp_path: Path, sshd: Sshd, away_from_home: Path
) -> None:
    site = Bench(tmp_path, sshd, away_from_home)
    site.write("a.bin")
    async with site.started() as bench:
        await bench.run()
        assert (await bench.run()).result.files_transferred == 0  # type: ignore[union-attr]
    site.write("b.bin")
    async with site.started() as bench:
        again = await bench.run(parallel_transfers=1)
        assert again.result is not None
        assert (again.result.files_transferred, again.target) == (1, (await bench.app.store.jobs.recent())[1].target)
    assert site.at_home() == ["a.bin", "b.bin"]


async def test_only_the_folders_asked_for_are_looked_at(bench: Bench) -> None:
    bench.write("one/a.bin", "two/b.bin", "c.bin")
    started = await bench.methods.start(ROOT, config=bench.table(), folders=["two"])
    await bench.jobs.active[started["job_id"]].ended.wait()  # type: ignore[index]
    assert bench.at_home() == ["two/b.bin"]


async def test_it_is_seen_like_any_other_job(bench: Bench) -> None:
    bench.write("a.bin", size_bytes=300_000)
    started = await bench.methods.start(ROOT, config=bench.table(bandwidth_limit_mbps=0.001, name="friday"))
    await bench.ears.wanted.wait()
    (listed,) = (await bench.methods.active())["jobs"]
    assert (listed["id"], listed["target"], listed["status"]) == (started["job_id"], "friday", "transferring")
    assert (await bench.methods.status(started["sync_id"]))["job"]["sync_id"] == started["sync_id"]
    progress = (await bench.methods.progress(started["job_id"]))["progress"]
    assert (progress["total_files"], progress["total_bytes"]) == (1, 300_000)
    done = await bench.methods.cancel(started["job_id"])
    assert done["success"]
    assert (await bench.methods.active())["jobs"] == []
    assert [one["status"] for one in (await bench.methods.list_jobs())["jobs"]] == ["cancelled"]


async def test_a_cancelled_one_goes_on_with_the_next_call(bench: Bench) -> None:
    bench.write("a.bin", size_bytes=300_000)
    active = bench.adhoc.start(bench.table(bandwidth_limit_mbps=0.001))
    await bench.ears.wanted.wait()
    assert await bench.adhoc.cancel(active)
    assert active.ended.is_set()
    assert bench.at_home() == []
    assert (await bench.run()).status.value == "complete"
    assert (bench.home / "a.bin").read_bytes() == (bench.box / "a.bin").read_bytes()


async def test_the_end_of_the_daemon_ends_them_and_their_jobs(bench: Bench, silent_port: int) -> None:
    started = [bench.adhoc.start(bench.table(source_port=silent_port, dest_path=f"/tmp/{n}")) for n in range(2)]
    await asyncio.sleep(0)  # these two are on their way; the third has not taken a step
    started.append(bench.adhoc.start(bench.table(source_port=silent_port)))
    await bench.adhoc.stop()
    assert [active.job.status.value for active in started] == ["cancelled"] * 3
    assert {job.id for job in await bench.app.store.jobs.recent()} == {active.job.id for active in started}
    await bench.adhoc.stop()


async def test_a_source_that_is_not_there_is_a_failed_job(bench: Bench) -> None:
    job = await bench.run(source_path=f"{bench.root}/nowhere", retry_attempts=0)
    assert job.status.value == "failed"
    assert job.result is not None
    assert job.result.errors


async def test_a_fault_of_ours_ends_the_job_too(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(target: Target, observer: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(bench.app, "doors", broken)
    job = await bench.run()
    assert job.result is not None
    assert (job.status.value, job.result.errors) == ("failed", (FAULT,))


# --- cleanup ------------------------------------------------------------------------------------------------------------------


async def test_with_cleanup_what_is_safe_at_home_goes_from_the_source(bench: Bench) -> None:
    bench.write("a.bin", "b.important")
    job = await bench.run(enable_cleanup=True, cleanup_age_hours=0)
    assert job.status.value == "complete"
    assert bench.at_source() == ["b.important"]
    assert bench.at_home() == ["a.bin", "b.important"]


async def test_cleanup_keeps_to_its_policy(bench: Bench) -> None:
    bench.write("a.bin")
    for policy in ({"cleanup_age_hours": 24}, {"cleanup_age_hours": 0, "cleanup_dry_run": True}):
        job = await bench.run(enable_cleanup=True, **policy)
        assert job.result is not None
        assert (job.status.value, job.result.errors) == ("complete", ())
        assert bench.at_source() == ["a.bin"]


async def test_after_a_sync_that_failed_nothing_is_cleaned_up(bench: Bench) -> None:
    bench.write("a.bin", "sub/b.bin")
    (bench.home / "sub").write_text("a file where a folder should be")
    job = await bench.run(enable_cleanup=True, cleanup_age_hours=0)
    assert (job.status.value, bench.at_home()) == ("failed", ["a.bin", "sub"])
    assert bench.at_source() == ["a.bin", "b.bin"]


async def test_a_hold_is_told_with_the_job(bench: Bench) -> None:
    names = [f"{letter}.bin" for letter in "abcdefghijklmnopqrstuvwxyz"]
    bench.write(*names)
    await bench.run()
    for name in names:
        (bench.home / name).unlink()
    job = await bench.run(enable_cleanup=True, cleanup_age_hours=0)
    assert job.result is not None
    assert [error.startswith("cleanup: held: ") for error in job.result.errors] == [True]
    assert bench.at_source() == names


# --- what it refuses ----------------------------------------------------------------------------------------------------------


async def test_every_mistake_of_the_table_is_in_the_hint_and_nothing_begins(bench: Bench) -> None:
    with pytest.raises(InvalidParams) as caught:
        await bench.methods.start(ROOT, config={"source_host": "box", "source_port": 0, "poll": 3, "colour": "red"})
    assert [one.split(":")[0] for one in caught.value.hint.splitlines()] == ["source_port", "poll", "colour", "dest"]
    with pytest.raises(InvalidParams, match="Invalid params") as caught:
        await bench.methods.start(ROOT, config=bench.table(), folders=["../up"])
    assert caught.value.hint.startswith("folders: ")
    assert bench.jobs.active == {}
    assert await bench.app.store.jobs.recent() == []


async def test_only_root_and_the_daemons_user_may_say_where_files_go(bench: Bench) -> None:
    with pytest.raises(NotPermitted):
        await bench.methods.start(MEMBER, config=bench.table())
    assert bench.jobs.active == {}


@pytest.mark.parametrize("both", [{}, {"target": "box", "config": {}}])
async def test_one_of_target_and_config_is_needed(bench: Bench, both: dict[str, object]) -> None:
    with pytest.raises(InvalidParams) as caught:
        await bench.methods.start(ROOT, **both)  # type: ignore[arg-type]
    assert "one of" in caught.value.hint


async def test_a_few_run_at_once_and_no_two_over_the_same_memory(bench: Bench, silent_port: int) -> None:
    def start(number: int, **more: object) -> ActiveJob:
        return bench.adhoc.start(bench.table(source_port=silent_port, dest_path=f"{bench.home}/{number}", **more))

    first = start(0)
    with pytest.raises(AlreadyRunning) as same:
        start(0, name="other")
    assert first.job.id in same.value.hint
    for number in range(1, MOST_AT_ONCE):
        start(number, name=f"n{number}")
    with pytest.raises(AlreadyRunning):
        start(99, name="N1")
    with pytest.raises(TooBusy):
        start(99)
    await bench.adhoc.cancel(first)
    start(99)


async def test_the_name_of_a_configured_target_is_not_to_be_had(bench: Bench) -> None:
    other = bench.root / "other"
    config = loaded(f'[[target]]\nname = "Studio"\nsource = "ssh://127.0.0.1:1/x"\ndest = "{other}"\n', bench.root)
    await bench.fleet.apply(config)
    with pytest.raises(InvalidParams) as caught:
        bench.adhoc.start(bench.table(name="studio"))
    assert "Studio" in caught.value.hint
