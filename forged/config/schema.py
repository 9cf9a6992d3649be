"""Every key of the configuration: its type, its default as the owner would write it, and its reason. The keys are fixed.

A table is what stands in the file, key by key; `config.build` turns tables into the policies of floor 1.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from forged.config.values import (
    BandwidthText,
    BoxPath,
    Count,
    Cron,
    DirMode,
    FileMode,
    Folders,
    HostKey,
    InFlight,
    KeyFile,
    Layout,
    Listen,
    Name,
    PathText,
    Patterns,
    Size,
    SizeOrOff,
    SocketMode,
    SourceText,
    StateUrl,
    Text,
    WatchMode,
    between,
    choice,
)
from forged.model.settings import LogFormat, LogLevel
from forged.model.target import DuplicatesMode, NamesMode, TargetType


def key(default: object, reason: str) -> Any:  # Any, as pydantic's own Field: the default is still text, validated like the rest
    """A key with its default, written as in the file (None: it has none), and why one would change it."""
    return Field(default=default, description=reason)


def required(reason: str) -> Any:
    """A key that must be there."""
    return Field(description=reason)


class Table(BaseModel):
    """One table of the file. Unknown keys are mistakes; TOML has types, so nothing is guessed from another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True, arbitrary_types_allowed=True)


class DaemonTable(Table):
    """[daemon]"""

    state_dir: PathText = key(
        None, "where forged remembers; $STATE_DIRECTORY, as root /var/lib/forged, else $XDG_STATE_HOME/forged"
    )
    socket: PathText = key(
        None, "where forgectl finds it; $RUNTIME_DIRECTORY, else $XDG_RUNTIME_DIR/forged; as root, or else, /run/forged"
    )
    socket_mode: SocketMode = key("0660", "who may open the socket, octal; the default lets in the owner and the group")
    socket_group: Text = key(None, "group of the socket; its members may act on configured targets")
    metrics: Listen = key(
        "127.0.0.1:9750", 'address of the Prometheus page, "" for off; it has no password, so it stays on this machine'
    )
    log_level: Annotated[LogLevel, choice(LogLevel)] = key("info", "debug, info, warning or error; debug has a line for each file")
    log_format: Annotated[LogFormat, choice(LogFormat)] = key("auto", "text, json, or auto: text on a terminal, JSON elsewhere")


class StateTable(Table):
    """[state]"""

    url: StateUrl = key("sqlite", '"sqlite" (a file in state_dir), or "postgresql://...", which several machines can take over')
    url_file: KeyFile = key(None, "a file that holds the postgresql:// address, to keep its password out of here")


class TransferTable(Table):
    """[transfer]"""

    in_flight: InFlight = key("64MB", "bytes asked for and not yet on disk, all targets together: the bound of memory")
    min_free: Size = key("1GB", "below this much room at a destination its targets wait; a full disk is worse")
    bandwidth: BandwidthText = key(
        "off", 'for all targets together: "off", "20MB/s", or by local time "08:00,5MB/s 23:00,off Sat-00:00,off"'
    )


class MediaTable(Table):
    """[media]"""

    metadata: bool = key(True, "read prompt, seed, model and size out of each file")
    xmp: bool = key(True, "write them into a sidecar <file>.<ext>.xmp, which photo programs find")
    thumbnails: bool = key(False, "make small previews; costs a decode of each picture")
    phash: bool = key(False, "perceptual hash, to find similar pictures; costs a decode of each picture")
    duplicates: Annotated[DuplicatesMode, choice(DuplicatesMode)] = key(
        "off", "equal files at home: off, report, reflink or hardlink"
    )
    workers: Annotated[int, Field(ge=1, le=64)] = key(1, "processes that look into files; one keeps up with several boxes")


class CleanupTable(Table):
    """[target.cleanup]: without this table nothing is ever removed at the source."""

    age: Annotated[float, between("0s", "36500d")] = key(
        "24h", "how long a file stays at the source after it was written and is home"
    )
    preserve: Patterns = key(["*.important"], "gitignore patterns of files that always stay")
    max_files_per_batch: Count = key(100, "at most so many removals in one run: a mistake stays small")
    every: Annotated[float, between("1s", "365d")] = key("15m", "how often to look for removable files")
    dry_run: bool = key(False, "only say what would be removed")
    rehash: bool = key(False, "read and hash the copy at home again before each removal")
    remove_empty_dirs: bool = key(False, "also remove folders that cleanup has emptied; some programs want theirs to stay")
    unguarded: bool = key(
        False, "allow removal where the source cannot compare and remove in one step; its times are seconds (SFTP)"
    )


class TargetKeys(Table):
    """The keys of a target that do not say which box it is."""

    type: Annotated[TargetType, choice(TargetType)] = key(
        "generic",
        "what runs there: generic, forge, a1111, comfyui, swarmui, invokeai, fooocus, sdnext; or any of them: vastai, runpod",
    )
    dest: PathText = key(None, "the folder at home; $MEDIA_BASE where that is set")
    layout: Layout = key(
        "{folder}/{path}", "names at home, of {target} {folder} {path} {name} {date:%Y-%m-%d}; concerns new files only"
    )
    names: Annotated[NamesMode, choice(NamesMode)] = key(
        "portable", "portable: awkward bytes in names are %-encoded, reversibly; exact: kept"
    )
    folders: Folders = key([], "only these folders below the source path; empty means all")
    include: Patterns = key([], "gitignore patterns of the files wanted; empty means all")
    exclude: Patterns = key([], "gitignore patterns of files not wanted, besides those of the type; !pattern takes one back")
    mutable: Patterns = key([], "gitignore patterns of files that grow, such as logs: replaced whole at home")
    min_age: Annotated[float, between("0s", "3650d")] = key("0s", "leave files alone that are younger than this")
    max_size: SizeOrOff = key("off", "leave files alone that are larger than this")
    poll: Annotated[float, between("1s", "365d")] = key("30s", "how often to look; cheap, since only differences travel")
    schedule: Cron = key(None, 'a cron line in local time instead of poll, such as "30 4 * * *"')
    watch: Annotated[WatchMode, choice(WatchMode)] = key(
        "auto", "auto: the source reports new files at once where it can; off: only poll"
    )
    settle: Annotated[float, between("0s", "24h")] = key(
        "2s", "a file unchanged for this long, and whole by its format, is finished"
    )
    settle_max: Annotated[float, between("0s", "30d")] = key(
        "10m", "unchanged for this long, a file comes home even if unfinished, marked so"
    )
    parallel_transfers: Annotated[int, Field(ge=1, le=32)] = key(3, "connections at most; more help over long distances")
    bandwidth: BandwidthText = key("off", "as in [transfer], for this target alone")
    retry_attempts: Annotated[int, Field(ge=0, le=100)] = key(3, "how often to try again within one round when the source fails")
    retry_delay: Annotated[float, between("0s", "1h")] = key("5s", "the first wait before that; it grows")
    verify: bool = key(True, "the source hashes what it reads as well, and both ends must agree")
    require_mount: bool = key(False, "land files only while dest lies on a mounted file system of its own")
    redownload_deleted: bool = key(False, "bring files again that were deleted at home")
    identity_file: KeyFile = key(None, "the private key to log in with; otherwise what ssh itself would use")
    passphrase_file: KeyFile = key(None, "a file that holds the passphrase of that key")
    host_key: HostKey = key("pin", 'pin the first one seen, "known_hosts", or "SHA256:..." as ssh-keygen -l prints it')
    file_mode: FileMode = key("0644", "mode of files at home, octal")
    dir_mode: DirMode = key("0755", "mode of folders at home, octal")
    group: Text = key(None, "group of files and folders at home")
    cleanup: CleanupTable | None = key(None, "a table: when to remove files at the source; without it never")
    media: MediaTable = key(MediaTable(), "a table: what of [media] is different for this target")


class TargetTable(TargetKeys):
    """[[target]]"""

    name: Name = required("a name of your own: letters, digits, dots, dashes, underscores")
    source: SourceText = required(
        "ssh://user@host:port/path, sftp://..., docker://container/path or /local/path; no path: that of the type"
    )


class DiscoveredTable(TargetKeys):
    """[discovery.target]"""

    source: BoxPath = key(None, "the path at each box; without it that of the type")
