"""The source behind `ssh://`: agents over SSH connections."""

from __future__ import annotations

import os
from pathlib import Path

from forged.model.manifest import PinKeeper
from forged.model.observer import Observer
from forged.model.target import Target
from forged.sources.agent.client import AgentSource
from forged.sources.login import Surroundings
from forged.sources.ssh_link import LinkSettings, SshDoor


def ssh_source(
    target: Target, pins: PinKeeper, observer: Observer, home: Path, settings: LinkSettings | None = None
) -> AgentSource:
    """The target's source, still closed. `home`: whose .ssh is used; `pins`: where host keys are remembered.

    Opens one connection, and up to `parallel_transfers` while much waits to be fetched. Opening raises what
    `SshDoor.open_channel` raises, and SourceMissing when the path does not exist on the box.
    """
    around = Surroundings.of(home)
    door = SshDoor(
        target.source, target.ssh, pins, target.manifest, around, observer=observer, target=target.name, settings=settings
    )
    lanes = target.transfer.parallel_transfers
    return AgentSource(door.open_channel, os.fsencode(target.source.path), transport="ssh", max_lanes=lanes)
