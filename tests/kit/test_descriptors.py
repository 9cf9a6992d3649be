"""The soft limit goes up as far as it may, and never down."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest

CHILD = """
import resource
from forged.kit.descriptors import allow_many_open_files
allow_many_open_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard", "then"), [(64, 128, 128), (128, 128, 128)])
def test_the_soft_limit_follows_the_hard_one(soft: int, hard: int, then: int) -> None:
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({soft}, {hard}))"
    said = subprocess.run([sys.executable, "-c", limited + CHILD], capture_output=True, text=True, check=True).stdout
    assert said.split() == [str(then), str(hard)]


def test_more_than_enough_is_left_as_it_is() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    said = subprocess.run([sys.executable, "-c", CHILD], capture_output=True, text=True, check=True).stdout
    assert int(said.split()[0]) == (max(soft, min(65_536, hard)) if hard != resource.RLIM_INFINITY else max(soft, 65_536))
