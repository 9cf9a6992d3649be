"""What every test of the Python API starts from: a box with the trees of Forge, a real sshd, and a home."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from forged import SSHRsyncAdapter, SyncConfig
from tests.support.sshd import Sshd

LONG_AGO_S = 1_700_000_000
"""When the files of the box were made: older than any cleanup age."""


@dataclass
class Grounds:
    """`outputs`: the tree at the box; `media`: home; `manifest`: as the seed document names one."""

    sshd: Sshd
    outputs: Path
    media: Path
    manifest: Path

    @property
    def host(self) -> str:
        return f"{self.sshd.user}@127.0.0.1"

    def transport(self) -> SSHRsyncAdapter:
        return SSHRsyncAdapter(host="127.0.0.1", port=self.sshd.port, user=self.sshd.user, identity_file=self.sshd.identity)

    def config(self, **more: object) -> SyncConfig:
        """The seed's, with this box for its own."""
        told = {
            "source_host": self.host,
            "source_port": self.sshd.port,
            "source_path": str(self.outputs),
            "dest_path": str(self.media),
        }
        options = {"identity_file": str(self.sshd.identity), "settle": "0s"}
        return SyncConfig(**({"source_type": "forge", **told, "options": options} | more))  # type: ignore[arg-type]

    def make(self, path: str, data: bytes = b"picture") -> Path:
        """A file at the box, made long ago."""
        file = self.outputs / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, (LONG_AGO_S, LONG_AGO_S))
        return file

    def at_home(self) -> dict[str, bytes]:
        found = (path for path in sorted(self.media.rglob("*")) if path.is_file() and ".forged" not in path.parts)
        return {str(path.relative_to(self.media)): path.read_bytes() for path in found}


@pytest.fixture
def grounds(sshd: Sshd, away_from_home: Path, tmp_path: Path) -> Grounds:
    outputs, media = tmp_path / "stable-diffusion-webui" / "outputs", tmp_path / "media"
    outputs.mkdir(parents=True)
    media.mkdir()
    return Grounds(sshd, outputs, media, tmp_path / "logs" / "manifests" / "forge.json")
