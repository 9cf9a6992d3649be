"""What it costs to do nothing: a hundred watched boxes over a real sshd, and nobody writes."""

from __future__ import annotations

import json
import time

import psutil
import pytest

from tests.support.daemon import daemon, until
from tests.support.sshd import Sshd

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(600)]

TARGETS = 100
WATCHED_S = 60.0
MOST_SHARE = 0.03
"""Of one core."""


def test_a_hundred_idle_targets(sshd: Sshd) -> None:
    names = [f"box{n:02}" for n in range(TARGETS)]
    with daemon(sshd, **dict.fromkeys(names, 'poll = "30s"')) as house:
        began_s = time.monotonic()
        house.start()
        assert house.process is not None
        until(lambda: all(row["watch"] and row["last_sync"] for row in house.call("target.list")["targets"]), house.log)
        all_watched_s = time.monotonic() - began_s
        process = psutil.Process(house.process.pid)
        for _ in range(2):  # the first stretch still has the settling of the start in it
            before, at_s = process.cpu_times(), time.monotonic()
            time.sleep(WATCHED_S)
            after, took_s = process.cpu_times(), time.monotonic() - at_s
            share = (after.user + after.system - before.user - before.system) / took_s
        rss_mb = round(process.memory_info().rss / 1e6, 1)
        figures = {"share_of_a_core": round(share, 4), "rss_mb": rss_mb, "threads": process.num_threads()}
        print(json.dumps(figures | {"all_watched_after_s": round(all_watched_s, 1), "stop_s": round(house.stop(), 2)}))
        assert share <= MOST_SHARE
