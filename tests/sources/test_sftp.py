"""SFTP over a real OpenSSH server keeps the whole contract, with a chroot and without, and what a broken line does to it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from forged.model.files import Entry, Stat
from forged.model.observer import Nobody
from forged.model.target import SourceKind, Target
from forged.sources.hostkeys import ForgetfulPins
from forged.sources.sftp import SftpSource, sftp_source
from forged.sources.sftp_wire import NANO
from forged.sources.ssh_link import LinkSettings
from tests.sources.boxes import FolderBox
from tests.sources.contract import SourceContract
from tests.sources.test_ssh import target_at
from tests.support.ssh import empty
from tests.support.sshd import SSHD, Sshd
from tests.support.sshd import sshd as running_sshd


def sftp_target(server: Sshd, root: str, port: int | None = None, lanes: int = 3) -> Target:
    target = target_at(server, Path("/"), port, lanes)
    return replace(target, source=replace(target.source, kind=SourceKind.SFTP, path=root))


def source_at(
    server: Sshd, root: str, home: Path, *, port: int | None = None, lanes: int = 3, settings: LinkSettings | None = None
) -> SftpSource:
    return sftp_source(sftp_target(server, root, port, lanes), ForgetfulPins(), Nobody(), home, settings)


def coarse(entry: Entry) -> Entry:
    return Entry(entry.path, Stat(entry.stat.size_bytes, entry.stat.mtime_ns // NANO * NANO))


class SftpBox(FolderBox):
    """A folder behind a real sshd that runs nothing but its SFTP server, which shows it as `shown`."""

    def __init__(self, server: Sshd, root: Path, home: Path, shown: str = "") -> None:
        super().__init__(root, lambda root: source_at(server, shown or str(root), home))
        self._server = server

    def entry(self, path: bytes) -> Entry:
        return coarse(super().entry(path))

    async def empty(self) -> None:
        await empty(self._server)


@pytest.fixture(scope="module")
def sftp_only() -> Iterator[Sshd]:
    if not Path(SSHD).exists():
        pytest.skip("no OpenSSH server here (apt install openssh-server)")
    with running_sshd("ForceCommand internal-sftp") as server:
        yield server


class TestSftpOnly(SourceContract):
    @pytest.fixture
    def box(self, sftp_only: Sshd, quick_path: Path, away_from_home: Path) -> SftpBox:
        return SftpBox(sftp_only, quick_path / "root", away_from_home)


@pytest.mark.skipif(os.getuid() != 0, reason="only root may chroot")
class TestInAChroot(SourceContract):
    """Where the server shows no /proc, and its paths are not the box's."""

    @pytest.fixture
    def box(self, away_from_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SftpBox]:
        jail = Path("/run") / f"forged-jail-{os.getpid()}"  # sshd wants every folder above it to be root's alone
        jail.mkdir(mode=0o755)
        try:
            with running_sshd(f"ForceCommand internal-sftp\nChrootDirectory {jail}") as server:
                yield SftpBox(server, jail / "outputs", away_from_home, "/outputs")
        finally:
            os.system(f"rm -rf {jail}")
