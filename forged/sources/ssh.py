"""The source behind `ssh://`: agents over SSH connections; on a box without Python SFTP, and where that is missing too, a shell."""

from __future__ import annotations

import os
from pathlib import Path

from forged.model.manifest import PinKeeper
from forged.model.observer import Observer
from forged.model.target import Target
from forged.sources.agent.client import AgentSource
from forged.sources.login import SshHome
from forged.sources.sftp.source import SftpSource
from forged.sources.shell.client import ShellSource
from forged.sources.ssh_link import LinkSettings, SshDoor
from forged.sources.ssh_shells import SshShells
from forged.sources.ways import BestWay, Memory, Way


def ssh_source(
    target: Target,
    pins: PinKeeper,
    observer: Observer,
    home: Path,
    settings: LinkSettings | None = None,
    memory: Memory | None = None,
) -> BestWay:
    """The target's source, still closed. `home`: whose .ssh is used; `pins`: where host keys are remembered; `memory`: which way to
    the box was found, kept by whoever opens it more than once.

    Opens one connection, and up to `parallel_transfers` while much waits to be fetched; as long as it is not known that there is no
    Python, one before that. Opening raises what `SshDoor.open_channel` raises, NotSupported where there is no way, and
    SourceMissing when the path does not exist on the box.
    """
    ssh_home = SshHome.of(home)
    door = SshDoor(
        target.source, target.ssh, pins, target.manifest, ssh_home, observer=observer, target=target.name, settings=settings
    )
    return BestWay(ways(door, os.fsencode(target.source.path), target.transfer.parallel_transfers), memory or Memory())


def ways(door: SshDoor, root: bytes, lanes: int) -> tuple[Way, ...]:
    """The ways through one door, the best first."""
    return (
        lambda: AgentSource(door.open_channel, root, transport="ssh", max_lanes=lanes),
        lambda: SftpSource(door.open_link, root, transport="sftp", max_lanes=lanes),
        lambda: ShellSource(SshShells(door), root, transport="shell", max_lanes=lanes),
    )
