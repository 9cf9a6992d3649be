"""How a source is reached: the seed's adapters, as names for forged's own transports."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from forged.api.models import FileList, FileManifest
from forged.api.state import target_of
from forged.daemon.bodies import Bodies
from forged.model.errors import SourceBroken
from forged.model.files import ListingEnd, ListingPart
from forged.model.observer import Nobody
from forged.model.target import SourceAddress, SourceKind
from forged.rules.selection import Selector
from forged.sources.hostkeys import ForgetfulPins

if TYPE_CHECKING:
    from forged.api.state import State


@dataclass(kw_only=True)
class Transport:
    """What all have in common. Connects when something is done, and not before."""

    state: State | None = field(default=None, init=False, repr=False)
    """The memory of the engine that uses it."""

    def address(self, path: str) -> SourceAddress:
        """Of a folder there."""
        return SourceAddress(SourceKind.LOCAL, path)

    def options(self) -> dict[str, object]:
        """Further keys of a [[target]]."""
        return {}

    async def list_files(self, path: str) -> FileList:
        """Every file below the folder that a sync would take, all in memory. Raises SourceError, also for half a listing."""
        table = {"source": str(self.address(path)), "dest": "/nonexistent", "type": "generic", **self.options()}
        target = target_of(table)
        selector, found, complete = Selector(target.selection), FileList(place=str(target.source)), False
        async with Bodies(ForgetfulPins(), Nobody(), Path.home()).bare(target) as source:
            async for part in source.list():
                complete = isinstance(part, ListingEnd)
                if isinstance(part, ListingPart):
                    found += [
                        FileManifest(joined(path, one.path), one.stat.size_bytes, one.stat.mtime_ns / 1e9, stat=one.stat)
                        for one in part.entries
                        if selector.wants(one)
                    ]
        if not complete:
            raise SourceBroken("the listing broke off")
        return found


def joined(folder: str, path: bytes) -> str:
    """The absolute path at the source, as Python names files."""
    return f"{folder.rstrip('/')}/{os.fsdecode(path)}"


@dataclass
class SSHRsyncAdapter(Transport):
    """By SSH, as forged does it: its agent, else SFTP, else the box's shell. No rsync: the name is the old one."""

    host: str
    port: int = 22
    user: str = "root"
    identity_file: str | os.PathLike[str] | None = None
    host_key: str = "pin"

    def address(self, path: str) -> SourceAddress:
        return SourceAddress(SourceKind.SSH, path, self.host, self.user, self.port)

    def options(self) -> dict[str, object]:
        identity = {} if self.identity_file is None else {"identity_file": os.fspath(self.identity_file)}
        return {"host_key": self.host_key, **identity}


@dataclass
class SFTPAdapter(SSHRsyncAdapter):
    """By SFTP only. It removes nothing: there is no guard."""

    def address(self, path: str) -> SourceAddress:
        return SourceAddress(SourceKind.SFTP, path, self.host, self.user, self.port)


@dataclass
class DockerAdapter(Transport):
    """A container of this machine, by its name."""

    container: str

    def address(self, path: str) -> SourceAddress:
        return SourceAddress(SourceKind.DOCKER, path, self.container)


@dataclass
class LocalAdapter(Transport):
    """A folder of this machine."""
