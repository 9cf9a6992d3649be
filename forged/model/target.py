"""A target and its policies: what the owner asked for, as frozen values with units. Made by config from the TOML."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from pathlib import Path
from typing import NewType
from urllib.parse import quote

from forged.model.manifest import ManifestName

TargetName = NewType("TargetName", str)


class TargetType(enum.Enum):
    """Which program writes at the source; presets by type say where, and what to skip."""

    GENERIC = "generic"
    FORGE = "forge"
    A1111 = "a1111"
    COMFYUI = "comfyui"
    SWARMUI = "swarmui"
    INVOKEAI = "invokeai"
    FOOOCUS = "fooocus"
    SDNEXT = "sdnext"
    VASTAI = "vastai"
    RUNPOD = "runpod"


class SourceKind(enum.Enum):
    """The scheme of `source`."""

    SSH = "ssh"
    SFTP = "sftp"
    DOCKER = "docker"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class SourceAddress:
    """A parsed `source`. `host` is the container's name for docker and empty for local; user and port None = as ssh would."""

    kind: SourceKind
    path: str
    """Absolute at the source. Empty = the preset's own."""
    host: str = ""
    user: str | None = None
    port: int | None = None

    def __str__(self) -> str:
        """As the owner would write it; percent-encoded where a URL needs it, so that config reads it back as the same."""
        if self.kind is SourceKind.LOCAL:
            return self.path
        user = f"{quote(self.user)}@" if self.user else ""
        host = f"[{quote(self.host, safe=':')}]" if ":" in self.host else self.host
        port = f":{self.port}" if self.port else ""
        return f"{self.kind.value}://{user}{host}{port}{quote(self.path, errors='surrogateescape')}"


@dataclass(frozen=True, slots=True)
class SshOptions:
    """How to log in. None = what `ssh` itself would do: its agent, its default keys, ~/.ssh/config."""

    identity_file: Path | None = None
    passphrase_file: Path | None = None
    host_key: str = "pin"
    """`pin` (on first use), `known_hosts`, or `SHA256:...`."""


class NamesMode(enum.Enum):
    """How names of the source become names at home."""

    PORTABLE = "portable"
    EXACT = "exact"


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A folder that is not below the source's path: `path` (absolute at the source) is known as `folder`, one of `folders`."""

    folder: str
    path: str


@dataclass(frozen=True, slots=True)
class Selection:
    """Which files of the source are wanted. Patterns are gitignore's, relative to the source path."""

    folders: tuple[str, ...] = ()
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    mutable: tuple[str, ...] = ()
    min_age_s: float = 0.0
    max_size_bytes: int | None = None
    elsewhere: tuple[Elsewhere, ...] = ()
    guessed: bool = False
    """`folders` are those where the programs of this type may be: that most are not there is normal."""


@dataclass(frozen=True, slots=True)
class SettlePolicy:
    """When a file counts as no longer being written. `settle_max_s`: unchanged that long, it comes home even if unfinished."""

    settle_s: float = 2.0
    settle_max_s: float = 600.0


@dataclass(frozen=True, slots=True)
class RateStep:
    """From this minute of the week (Monday 00:00 = 0) on, this rate; None = off, that is without a bound."""

    minute_of_week: int
    bytes_per_s: int | None


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """A bound, or a timetable of bounds in local time. No steps = never bounded. Steps ascend by minute."""

    steps: tuple[RateStep, ...] = ()


@dataclass(frozen=True, slots=True)
class TransferPolicy:
    """How hard to pull, and how often to try again."""

    parallel_transfers: int = 3
    bandwidth: Bandwidth = Bandwidth()
    retry_attempts: int = 3
    retry_delay_s: float = 5.0
    verify: bool = True


@dataclass(frozen=True, slots=True)
class HomePolicy:
    """Where and how files land."""

    dest: Path
    layout: str = "{folder}/{path}"
    names: NamesMode = NamesMode.PORTABLE
    file_mode: int = 0o644
    dir_mode: int = 0o755
    group: str | None = None
    require_mount: bool = False
    redownload_deleted: bool = False


@dataclass(frozen=True, slots=True)
class CleanupPolicy:
    """When a file may be removed at its source. A target without this policy never removes anything."""

    age_s: float = 86_400.0
    preserve: tuple[str, ...] = ("*.important",)
    max_files_per_batch: int = 100
    every_s: float = 900.0
    dry_run: bool = False
    rehash: bool = False
    remove_empty_dirs: bool = False
    unguarded: bool = False


class DuplicatesMode(enum.Enum):
    """What to do with equal pictures at home."""

    OFF = "off"
    REPORT = "report"
    REFLINK = "reflink"
    HARDLINK = "hardlink"


@dataclass(frozen=True, slots=True)
class MediaPolicy:
    """What to find out about the files, and what to make of it."""

    metadata: bool = True
    xmp: bool = True
    thumbnails: bool = False
    phash: bool = False
    duplicates: DuplicatesMode = DuplicatesMode.OFF
    workers: int = 1


@dataclass(frozen=True, slots=True)
class Timing:
    """When to look. `schedule` is a cron line and takes the place of `poll_s`."""

    poll_s: float = 30.0
    schedule: str | None = None
    watch: bool = True


@dataclass(frozen=True, slots=True)
class Target:
    """One `[[target]]`: a source, a destination, and how to treat the files."""

    name: TargetName
    type: TargetType
    source: SourceAddress
    home: HomePolicy
    ssh: SshOptions = SshOptions()
    selection: Selection = Selection()
    settle: SettlePolicy = SettlePolicy()
    transfer: TransferPolicy = TransferPolicy()
    timing: Timing = Timing()
    media: MediaPolicy = MediaPolicy()
    cleanup: CleanupPolicy | None = None
    manifest: ManifestName = field(default=ManifestName(""))
    """Whose memory it uses; the target's own name unless discovery gave an instance id."""

    def __post_init__(self) -> None:
        if not self.manifest:
            object.__setattr__(self, "manifest", ManifestName(self.name))
