"""Promises 1 to 5, 7 and 14 under histories that nobody would think of: a state machine over rules, rounds, cleanup and a store.

A writer and an owner do whatever they like between any two steps of forged, also while its power is cut at that very step, its
listing breaks, its memory is lost or is one of the past. After each step an independent ledger (`chronicle`) is compared with
the box and with home. A few histories in `make test`; as many as fit into FORGED_MINUTES as a campaign.
"""

from __future__ import annotations

import asyncio
import copy
import json
import os
import shutil
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from forged.model.files import Entry
from forged.model.jobs import Job, JobStatus, new_job_id
from forged.model.manifest import AtSource, Hold
from forged.model.paths import SourcePath, source_path
from forged.model.target import CleanupPolicy, Selection
from forged.rules.safety import Doubt
from forged.sources.memory_faults import CutListing, Fault, LoseAfterBytes
from forged.store.memory import MemoryStore
from forged.store.sqlite import begin_anew, open_store
from forged.sync.cleanup import run_cleanup
from forged.sync.cycle import RoundResult, bring_noticed, run_round
from forged.sync.doors import Doors
from forged.sync.homecheck import check_home
from forged.sync.looks import Looks
from forged.sync.tally import Tally
from forged.sync.verify import verdict
from tests.soak.chronicle import MUTABLE, PATHS, SIZES, Box, Chronicle, Home, sha256
from tests.soak.steps import PowerCut, Steps, stepping
from tests.support.world import TARGET, World

WRITER = [
    "create",
    "replace",
    "half",
    "grow",
    "equal_size",
    "revert",
    "touch",
    "rename",
    "delete",
    "vanish",
    "come_back",
    "close",
    "jump",
]
OWNER = ["dispose", "edit", "library"]

paths = st.sampled_from(PATHS)
some_paths = st.lists(paths, min_size=1, max_size=3, unique=True)
deeds = st.tuples(st.sampled_from(WRITER), paths, paths, st.sampled_from(SIZES))
made = st.tuples(
    st.sampled_from(["create", "create", "half", "replace", "revert", "equal_size"]), paths, paths, st.sampled_from(SIZES)
)
owners_deeds = st.tuples(st.sampled_from(OWNER), paths, paths, st.sampled_from(SIZES))
meanwhile = st.dictionaries(st.integers(1, 70), deeds | owners_deeds, max_size=3)
cuts = st.none() | st.integers(1, 80)
faults = st.none() | st.builds(CutListing, st.integers(0, 6)) | st.builds(LoseAfterBytes, st.integers(0, 80_000))
policies = st.builds(CleanupPolicy, age_s=st.sampled_from([0.0, 60.0, 1_000.0]), rehash=st.booleans())

Deed = tuple[str, SourcePath, SourcePath, int]

figures: Counter[str] = Counter()
"""Over all histories: that they tried what they are for."""


class Histories(RuleBasedStateMachine):
    """One box, one home, one memory."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        target = replace(
            TARGET,
            transfer=replace(TARGET.transfer, retry_attempts=0),  # no waits of random length
            selection=Selection(mutable=(MUTABLE,)),
        )
        self.world = World(target=target)
        self.world.destination = home = Home()
        self.world.box = box = Box(clock_ns=self.world.box.clock_ns)
        self.chronicle = box.chronicle = Chronicle(box, home)
        self.begin_memory()

    def teardown(self) -> None:
        self.end_memory()
        self.runner.close()
        figures.update(histories=1, removals=self.chronicle.removals, home=len(self.chronicle.home.files))

    # --- the memory, which each body of a store has its own ways of losing -------------------------------------------------

    def begin_memory(self) -> None:
        self.older: list[MemoryStore] = []

    def end_memory(self) -> None:
        """Nothing to close."""

    def keep_memory(self) -> None:
        """A backup is made."""
        self.older.append(copy.deepcopy(self.world.store))

    def restore_memory(self) -> None:
        if self.older:
            self.world.store = self.older.pop()

    def lose_memory(self, hold: Hold) -> None:
        self.world.store = MemoryStore()
        self.runner.run(self.world.store.flags.set_hold(self.world.target.manifest, hold))

    def restart(self) -> None:
        self.world.looks = Looks()
        self.runner.run(self.world.destination.aclose())

    # --- what others do ---------------------------------------------------------------------------------------------------

    def do(self, deed: Deed) -> None:
        name, path, other, size = deed
        getattr(self.chronicle, name)(path, other, size)

    @initialize(made=st.lists(made, min_size=4, max_size=8))
    def begin(self, made: list[Deed]) -> None:
        for deed in made:
            self.do(deed)
        self.age(1_000.0)
        self.round(None, None, {}, [])

    @rule(deed=deeds)
    def writer(self, deed: Deed) -> None:
        self.do(deed)

    @rule(path=paths, other=paths, size=st.sampled_from(SIZES))
    def owner_deletes(self, path: SourcePath, other: SourcePath, size: int) -> None:
        """What forged remembers to be home is buried from now on."""
        (row,) = self.runner.run(self.world.store.manifest.current(self.world.target.manifest, [path]))
        name = self.chronicle.dispose(path, other, size, unseen=False)
        if row is not None and name == row.home:
            self.chronicle.buried[path] = row.sha256

    @rule(path=paths, other=paths, size=st.sampled_from(SIZES))
    def owner_edits(self, path: SourcePath, other: SourcePath, size: int) -> None:
        self.chronicle.edit(path, other, size, unseen=False)

    @rule(path=paths, other=paths, size=st.sampled_from(SIZES))
    def owner_has_a_library(self, path: SourcePath, other: SourcePath, size: int) -> None:
        self.chronicle.library(path, other, size)

    @rule(seconds=st.sampled_from([0.1, 3.0, 100.0, 1_000.0]))
    def age(self, seconds: float) -> None:
        self.world.age(seconds)

    # --- what forged does -------------------------------------------------------------------------------------------------

    def live(self, work: Callable[[Doors], Awaitable[object]], cut_at: int | None, others: Mapping[int, Deed]) -> object:
        """forged does something. None where its power was cut."""
        steps = Steps(cut_at, {at: partial(self.do, deed) for at, deed in others.items()})

        async def living() -> object:
            doors = stepping(self.world.doors(), steps)
            async with doors.source:
                return await work(doors)

        try:
            answer = self.runner.run(living())
        except PowerCut:
            answer = None
            figures["cuts"] += 1
            self.lose_what_was_not_synced()
            self.restart()
        figures["steps"] += steps.taken
        self.chronicle.reconcile()
        return answer

    def lose_what_was_not_synced(self) -> None:
        """What was staged and not yet durable: a file system may leave zeros in its place."""
        for part in self.world.destination.parts.values():
            part[len(part) // 2 :] = bytes(len(part) - len(part) // 2)

    def gone(self) -> set[SourcePath]:
        rows = self.runner.run(self.world.store.manifest.between(self.world.target.manifest, None, None, 1_000))
        return {row.path for row in rows if row.at_source is AtSource.GONE}

    @rule(cut_at=cuts, fault=faults, others=meanwhile, folders=st.sampled_from([[], [], [], [b"a"], [b"c", b"nowhere"]]))
    def round(self, cut_at: int | None, fault: Fault | None, others: Mapping[int, Deed], folders: list[bytes]) -> None:
        gone, tally = self.gone(), Tally()
        self.world.faults[:] = [fault] if fault else []
        job = Job(new_job_id(), self.world.target.name, JobStatus.PENDING, self.world.clock.now_ns())
        asked = [source_path(folder) for folder in folders]
        result = self.live(lambda doors: run_round(doors, self.world.looks, job, tally, asked), cut_at, others)
        self.world.faults.clear()
        figures.update(rounds=1, landed=tally.transferred, adopted=tally.adopted)
        newly = self.gone() - gone
        if isinstance(result, RoundResult) and (result.error is not None or folders):
            figures["broken_or_partial_rounds"] += 1
            assert not newly, "a look that did not see everything has concluded that something is gone"
        if not others:
            for path in newly:
                assert path not in self.world.box.files and not self.world.box.hidden(path), f"{path!r} is not gone"

    @rule(policy=policies, cut_at=cuts, others=meanwhile, patient=st.booleans())
    def clean_up(self, policy: CleanupPolicy, cut_at: int | None, others: Mapping[int, Deed], patient: bool) -> None:
        if patient:
            self.age(1_001.0)

        async def work(doors: Doors) -> object:
            await check_home(doors)
            return await run_cleanup(doors, policy, dry_run=False)

        held = self.runner.run(self.world.store.flags.hold(self.world.target.manifest))
        self.chronicle.may_remove = held is None
        self.live(work, cut_at, others)
        self.chronicle.may_remove = False
        figures["cleanups"] += 1

    @rule(
        made=st.lists(made, min_size=1, max_size=4), seconds=st.sampled_from([10.0, 1_000.0]), policy=policies, person=st.booleans()
    )
    def a_quiet_day(self, made: list[Deed], seconds: float, policy: CleanupPolicy, person: bool) -> None:
        """Something is made, comes home, grows old, and goes."""
        for deed in made:
            self.do(deed)
        self.age(seconds)
        self.round(None, None, {}, [])
        if person:
            self.release()
        self.clean_up(policy, None, {}, True)

    @rule(noticed=some_paths, closed=st.booleans(), cut_at=cuts, others=meanwhile)
    def notice(self, noticed: list[SourcePath], closed: bool, cut_at: int | None, others: Mapping[int, Deed]) -> None:
        entries = [self.world.box.entry(path) for path in noticed if path in self.world.box.files]

        async def work(doors: Doors) -> object:
            await doors.destination.ready(None)
            return await bring_noticed(doors, self.world.looks, _ascending(entries), Tally(), closed=closed)

        self.live(work, cut_at, others)

    @rule(believe=st.booleans(), cut_at=cuts)
    def look_at_home(self, believe: bool, cut_at: int | None) -> None:
        self.live(lambda doors: check_home(doors, believe=believe), cut_at, {})

    @rule()
    def release(self) -> None:
        self.runner.run(self.world.store.flags.set_hold(self.world.target.manifest, None))
        self.runner.run(self.world.store.flags.set_released(self.world.target.manifest, 1))

    @rule()
    def end_and_start(self) -> None:
        self.restart()

    @rule()
    def back_up(self) -> None:
        self.keep_memory()

    @rule()
    def lose(self) -> None:
        """The state database is lost."""
        self.restart()
        self.lose_memory(Hold(Doubt.STATE_REBUILT.value, "", self.world.clock.now_ns()))
        self.forgotten("lost")

    @rule()
    def go_back(self) -> None:
        """The state database is one of the past."""
        self.restart()
        self.restore_memory()
        self.forgotten("rolled_back")

    def forgotten(self, how: str) -> None:
        figures[how] += 1
        self.chronicle.buried.clear()
        self.chronicle.memory_was_lost = True

    @rule()
    def come_to_rest(self) -> None:
        """Everything is left alone: then all that is at the box is home, and forged says so only if it is."""
        self.world.box.unreadable.clear()
        for _ in range(4):
            self.age(1_000.0)
            self.release()
            self.round(None, None, {}, [])
        missing = self.chronicle.not_home()
        assert not missing, f"at rest, and not home: {missing}"
        assert not self.world.destination.parts, "strays are left in staging"
        self.judge()
        figures["rests"] += 1

    def judge(self) -> None:
        """Promise 14."""

        async def work(doors: Doors) -> object:
            await check_home(doors)
            return await verdict(doors, rehash=True)

        answer = self.live(work, None, {})
        came, aside = self.chronicle.came(), {one.path for one in answer.aside}  # type: ignore[attr-defined]
        if answer.safe:  # type: ignore[attr-defined]
            figures["safe"] += 1
            for path, hash in self.chronicle.now.items():
                assert came[path, hash] or path in aside, f"said to be safe, and {path!r} is not home"

    @invariant()
    def the_writer_finds_what_he_left(self) -> None:
        for path, hash in self.chronicle.now.items():
            assert sha256(self.world.box.files[path].data) == hash


def _ascending(entries: list[Entry]) -> list[Entry]:
    return sorted(entries, key=lambda entry: entry.path)


class HistoriesInSqlite(Histories):
    """The memory is a real database: lost by damage, of the past by a copy of its file without the log."""

    def begin_memory(self) -> None:
        place = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="forged-histories-", dir=place))
        self.file, self.backups = self.folder / "forged.db", 0
        self.open()

    def open(self) -> None:
        self.world.store = self.runner.run(open_store(self.file))  # type: ignore[assignment]

    def end_memory(self) -> None:
        self.runner.run(self.world.store.close())
        shutil.rmtree(self.folder)

    def keep_memory(self) -> None:
        self.backups += 1
        shutil.copyfile(self.file, self.folder / f"backup{self.backups}")

    def restore_memory(self) -> None:
        if self.backups:
            self.runner.run(self.world.store.close())
            os.replace(self.folder / f"backup{self.backups}", self.file)
            self.backups -= 1
            self.open()

    def lose_memory(self, hold: Hold) -> None:
        self.runner.run(self.world.store.close())
        os.truncate(self.file, self.file.stat().st_size // 2)
        begin_anew(self.file, {self.world.target.manifest: hold}, self.world.clock.now_ns())
        self.open()

    def restart(self) -> None:
        super().restart()
        self.runner.run(self.world.store.close())
        self.open()


def tell(machine: type[Histories], examples: int, steps: int) -> None:
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],  # making a history shorter takes many minutes
    )
    run_state_machine_as_test(machine, settings=limits)


def test_a_few_histories() -> None:
    tell(Histories, examples=80, steps=30)
    assert figures["removals"] and figures["cuts"] and figures["rests"]  # how many is chance: 19 cuts were seen, and 60


def test_a_few_histories_with_a_real_database() -> None:
    tell(HistoriesInSqlite, examples=6, steps=20)


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
def test_histories_for_many_minutes() -> None:
    began_s, minutes = time.monotonic(), float(os.environ.get("FORGED_MINUTES", "20"))
    figures.clear()
    try:
        while time.monotonic() - began_s < 60 * minutes:
            tell(Histories, examples=200, steps=60)
            tell(HistoriesInSqlite, examples=10, steps=40)
    finally:
        print(json.dumps(dict(figures) | {"minutes": round((time.monotonic() - began_s) / 60, 1)}, indent=1))
