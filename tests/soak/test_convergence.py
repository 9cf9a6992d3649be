"""Promise 5, and with it 1 to 4, 7 and 14: a daemon that is killed again and again, on a line that breaks, with cleanup on and
mischief at home, loses nothing.

In the end home holds the writer's ledger sha256 by sha256; each removal at the box was proven in the moment in which it happened;
nothing is there twice, nothing is stray. What this cannot see is a missing fsync: SIGKILL leaves the kernel's cache alone. That
files are on disk before they get their names is seen by tests/destination/test_order.py, which records the calls.

A few kills in `make test`, hundreds as a campaign (FORGED_MINUTES, FORGED_SEED).
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict

import pytest

from tests.soak.lives import LINES, Campaign
from tests.support.daemon import daemon
from tests.support.sshd import Sshd
from tests.support.sshd import sshd as running_sshd


@pytest.mark.timeout(400)
def test_a_few_kills_in_bad_weather(sshd: Sshd) -> None:
    with daemon(sshd, box=LINES) as house:
        figures = Campaign(house, sshd, seed=5, pause_s=0.02).run(lambda kills, strikes: kills < 3)
    assert figures.files_home > 20
    assert figures.removals > 20


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
def test_hundreds_of_kills_and_strikes() -> None:
    minutes, seed = float(os.environ.get("FORGED_MINUTES", "20")), int(os.environ.get("FORGED_SEED", "1"))
    ends_s = time.monotonic() + 60 * minutes
    with running_sshd() as own, daemon(own, box=LINES) as house:
        campaign = Campaign(house, own, seed=seed, pause_s=0.1)

        def goes_on(kills: int, strikes: int) -> bool:
            if kills % 10 == 0:
                print(f"{kills} kills, {strikes} strikes, {len(campaign.witness.removals)} removals", flush=True)
            return kills < 200 or strikes < 200 or time.monotonic() < ends_s

        figures = campaign.run(goes_on)
        print(json.dumps(asdict(figures), indent=1, ensure_ascii=False))
    assert figures.removals > 200
