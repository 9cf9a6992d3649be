"""Fixtures that several rooms share. Kept few; what one room needs alone lives there."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support.engine import BARE, Engine, NoEngine
from tests.support.engine import engine as running_engine
from tests.support.postgres import PostgresServer, postgres_server
from tests.support.sshd import SSHD, Sshd
from tests.support.sshd import sshd as running_sshd

settings.register_profile("forged", deadline=None)  # a busy machine is no mistake of the code
settings.load_profile("forged")


def pytest_configure() -> None:
    """Started in the background by a shell, Ctrl-C is ignored, and the programs under test would inherit that."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session")
def sshd() -> Iterator[Sshd]:
    """One real OpenSSH server for the whole run. Tests that stop it or change its keys start their own."""
    if not Path(SSHD).exists():
        pytest.skip("no OpenSSH server here (apt install openssh-server)")
    with running_sshd() as server:
        yield server


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """One real container engine for the whole run, with `py` (this machine's Python), `plain` (a shell) and `empty` (neither)."""
    try:
        with running_engine() as made:
            made.run("py")
            made.run("plain", python=False)
            made.run("empty", python=False, image=BARE)
            yield made
    except NoEngine as why:
        pytest.skip(f"no container engine can run here: {why}")


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """One real PostgreSQL for the whole run. Tests that end it start it again; each takes a schema of its own."""
    with postgres_server() as server:
        yield server


@pytest.fixture
def quick_path() -> Iterator[Path]:
    """A folder in memory where there is such a place: trees of thousands of files take a busy disk many seconds."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(prefix="forged-test-", dir=memory if os.access(memory, os.W_OK) else None) as name:
        Path(name).chmod(0o755)  # so that tests can run an agent as somebody else
        yield Path(name)


@pytest.fixture
def away_from_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of the test's own, and no ssh-agent: nobody's real ~/.ssh is ever read."""
    home = tmp_path / "home"
    (home / ".ssh").mkdir(parents=True, mode=0o700)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    return home
