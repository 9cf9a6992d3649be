"""Promises 10 and 12: boxes that refuse every connection cost nothing that stays, however many they are and however often they are
tried. A few hundred refusals in `make test`, ten thousand as a campaign."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil
import pytest

from forged.model.errors import SourceUnreachable
from forged.model.observer import Nobody
from forged.model.target import SourceAddress, SourceKind, Target
from forged.sources.hostkeys import ForgetfulPins
from forged.sources.ssh import ssh_source
from tests.support.daemon import daemon, until
from tests.support.sshd import Sshd, make_key
from tests.support.world import TARGET

AT_ONCE = 100


@contextmanager
def closed_port() -> Iterator[int]:
    """One that is taken, and where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@dataclass
class Figures:
    """What the refusals cost."""

    refused: int
    cpu_ms_each: float
    memory_grew_kb: int
    open_files_grew: int
    tasks_left: int


async def refused(target: Target, folder: Path, times: int) -> None:
    for _ in range(times):
        with pytest.raises(SourceUnreachable) as no:
            async with ssh_source(target, ForgetfulPins(), Nobody(), folder):
                pass
        assert no.value.hint


async def all_refused(folder: Path, times: int) -> Figures:
    """So many boxes at once are tried again and again."""
    (folder / ".ssh").mkdir()
    identity, me = make_key(folder / "id"), psutil.Process()
    with closed_port() as port:
        address = SourceAddress(SourceKind.SSH, "/x", "127.0.0.1", "root", port)
        target = replace(TARGET, source=address, ssh=replace(TARGET.ssh, identity_file=identity))
        await asyncio.gather(*(refused(target, folder, 2) for _ in range(AT_ONCE)))
        gc.collect()
        memory_bytes, files, cpu_s = me.memory_info().rss, me.num_fds(), time.process_time()
        await asyncio.gather(*(refused(target, folder, times // AT_ONCE) for _ in range(AT_ONCE)))
        gc.collect()
        grew_kb, cpu_ms = (me.memory_info().rss - memory_bytes) >> 10, 1_000 * (time.process_time() - cpu_s) / times
        return Figures(times, round(cpu_ms, 2), grew_kb, me.num_fds() - files, len(asyncio.all_tasks()) - 1)


def nothing_stays(figures: Figures) -> None:
    assert figures.tasks_left == 0, figures
    assert figures.open_files_grew <= 0, figures
    assert figures.memory_grew_kb < 10_000, figures


async def test_boxes_that_refuse_leave_nothing_behind(tmp_path: Path) -> None:
    nothing_stays(await all_refused(tmp_path, times=500))


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
async def test_ten_thousand_refusals_leave_nothing_behind(tmp_path: Path) -> None:
    figures = await all_refused(tmp_path, times=int(os.environ.get("FORGED_REFUSALS", "10000")))
    print(json.dumps(asdict(figures), indent=1))
    nothing_stays(figures)


def test_a_daemon_goes_on_beside_many_boxes_that_refuse(sshd: Sshd) -> None:
    """Each is told of once, with advice; what the others make comes home."""
    with closed_port() as port, daemon(sshd, box="") as house:
        for n in range(20):
            house.targets[f"gone{n}"] = ""
            house.sources[f"gone{n}"] = f"ssh://root@127.0.0.1:{port}/x"
            house.home(f"gone{n}").mkdir()
        house.write()
        (house.box() / "a.png").write_bytes(b"")
        house.spawn()
        house.told("READY=1", 100)
        until(lambda: (house.home() / "a.png").exists())
        until(lambda: len(house.lines(kind="source_unreachable")) >= 20)
        time.sleep(3)
        told = [line["target"] for line in house.lines(kind="source_unreachable")]
        assert len(told) == len(set(told)) == 20
        assert house.standing("gone7")["state"] == "unreachable"
        house.stop()
