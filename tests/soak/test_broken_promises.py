"""Each promise, deliberately broken in a copy of the code, turns a test red. What no test notices is no promise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.promises.breach import GREEN, RED, Breach, Checkout
from tests.promises.table import BREACHES

pytestmark = [pytest.mark.campaign, pytest.mark.timeout(1_200)]


@pytest.fixture(scope="module")
def checkout() -> Iterator[Checkout]:
    with TemporaryDirectory(prefix="forged-broken-") as place:
        Path(place).chmod(0o755)
        yield Checkout(Path(place))


def test_unbroken_all_of_them_are_green(checkout: Checkout) -> None:
    """Else a red test would say nothing about a breach."""
    verdict = checkout.run(sorted({test for breach in BREACHES for test in breach.noticed_by}))
    assert verdict.status == GREEN, verdict.output[-5000:]


@pytest.mark.parametrize("breach", BREACHES, ids=lambda breach: breach.name)
def test_a_broken_promise_is_noticed(breach: Breach, checkout: Checkout) -> None:
    with checkout.breaking(breach):
        verdict = checkout.run(breach.noticed_by)
    print(f"{breach.name}: {len(verdict.red)} red")
    assert verdict.status == RED, f"exit {verdict.status}:\n{verdict.output[-3000:]}"
    assert [test for test in breach.noticed_by if not verdict.is_red(test)] == [], verdict.output[-3000:]
