"""Promise 9: whatever dies and whoever misbehaves, each handler is told of each file at least once, in order; tables have it once.

A daemon is killed again and again, or only some of what it started; a webhook answers 500, hangs, lies and redirects, a command
fails, hangs and is killed, a class raises, blocks and exits, PostgreSQL is restarted, killed and frozen, and somebody has locked
the catalog. In the end all are well.

Two kills in `make test`; hundreds in a campaign (FORGED_MINUTES, FORGED_SEED).
"""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict

import pytest

from tests.soak.handing_over import HandingOver
from tests.support.daemon import daemon
from tests.support.postgres import postgres_server
from tests.support.sshd import Sshd
from tests.support.sshd import sshd as running_sshd


@pytest.mark.timeout(600)
def test_two_kills_while_nobody_behaves(sshd: Sshd) -> None:
    with daemon(sshd) as house, postgres_server() as server:
        figures = HandingOver(house, server, seed=3, replaces=False).run(lambda kills: kills < 2)
    assert figures.files_home > 10


@pytest.mark.campaign
@pytest.mark.timeout(7_200)
def test_hundreds_of_kills_while_nobody_behaves() -> None:
    minutes, seed = float(os.environ.get("FORGED_MINUTES", "20")), int(os.environ.get("FORGED_SEED", "1"))
    ends_s = time.monotonic() + 60 * minutes
    with running_sshd() as own, daemon(own) as house, postgres_server() as server:
        over = HandingOver(house, server, seed=seed, replaces=True)

        def goes_on(kills: int) -> bool:
            if kills % 10 == 0:
                print(f"{time.strftime('%H:%M:%S')} {kills} kills, {over.writer.made} files", flush=True)
            return time.monotonic() < ends_s

        figures = over.run(goes_on)
        print(json.dumps(asdict(figures), indent=1, ensure_ascii=False))
