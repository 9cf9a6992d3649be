"""Which body a target's source has, by its scheme, and the coat for a target that names folders."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from forged.model.manifest import PinKeeper
from forged.model.observer import Observer
from forged.model.target import SourceKind, Target
from forged.sources.base import Source
from forged.sources.local import LocalSource
from forged.sources.placed import Placed, Remembered, wanted_of
from forged.sources.sftp.source import sftp_source
from forged.sources.ssh import ssh_source
from forged.sources.ways import Memory


@dataclass(frozen=True, slots=True)
class Bodies:
    """Makes closed sources of one target. `homes`: what forged writes to, never to be read as a source."""

    pins: PinKeeper
    observer: Observer
    ssh_home: Path
    homes: Sequence[Path] = ()
    memory: Memory = field(default_factory=Memory)
    """Of the way to its box that was found."""

    def bare(self, target: Target) -> Source:
        """Without a coat."""
        match target.source.kind:
            case SourceKind.LOCAL:
                return LocalSource(os.fsencode(target.source.path), self.homes)
            case SourceKind.SSH:
                return ssh_source(target, self.pins, self.observer, self.ssh_home, memory=self.memory)
            case SourceKind.SFTP:
                return sftp_source(target, self.pins, self.observer, self.ssh_home)
            case SourceKind.DOCKER:
                # Only for those who have containers: it loads aiohttp, a quarter of a second and 13 MB.
                from forged.sources.docker.source import docker_source

                return docker_source(target, self.observer, self.memory)


def placed_source(target: Target, make: Callable[[Target], Source], remembered: Remembered | None = None) -> Source:
    """What `make` answers for the target; where it names folders, in the coat that finds them."""
    if not target.selection.folders:
        return make(target)

    def at(root: bytes) -> Source:
        return make(replace(target, source=replace(target.source, path=os.fsdecode(root))))

    wanted = wanted_of(target)
    return Placed(at, wanted, remembered) if remembered else Placed(at, wanted)
