"""A word that is in 80 % of a million prompts is looked for: the whole `forgectl find`. Prints its figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bench.find import FILES, SEARCHES, catalog, searched
from tests.support.daemon import daemon
from tests.support.sshd import sshd


@pytest.mark.campaign
@pytest.mark.timeout(3_600)
def test_a_million_files_are_searched_while_one_waits(tmp_path: Path) -> None:
    with sshd() as box, daemon(box, str(tmp_path)) as house:
        state = house.root / "state"
        state.mkdir(mode=0o700)
        catalog(state / "catalog.db", FILES)
        house.start()
        for name, arguments in SEARCHES.items():
            searched(house, name, arguments, FILES)
