"""The error tree. Each error knows its scope (what stops), whether a retry can help, and what a person should do.

The docstring of a class is its default message. Doors translate foreign errors at their border (`raise X(...) from e`); nobody
logs and raises. Trouble with one file is not an error but a `Problem` (model/files).
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from typing import ClassVar


class Scope(enum.Enum):
    """What an error stops: its reach, which the round and the supervisor act on."""

    FILE = "file"
    SOURCE = "source"
    DESTINATION = "destination"
    STORE = "store"
    SAFETY = "safety"
    CONFIG = "config"
    REQUEST = "request"


class ForgedError(Exception):
    """Something forged was asked to do did not happen."""

    scope: ClassVar[Scope] = Scope.REQUEST
    transient: ClassVar[bool] = False
    default_hint: ClassVar[str] = ""

    def __init__(self, message: str = "", *, hint: str = "") -> None:
        first_line = (type(self).__doc__ or "").strip().split("\n")[0]
        self.message = message or first_line
        self.hint = hint or self.default_hint
        super().__init__(self.message)

    @property
    def kind(self) -> str:
        """A stable word for metrics and `problems[].kind`: the class name in snake case."""
        name = type(self).__name__
        return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class BadPath(ForgedError):
    """A path that forged will not use: absolute, with `..`, with NUL, empty or too long."""

    scope = Scope.FILE


class Cancelled(ForgedError):
    """The job was cancelled; what has landed stays, the rest comes with the next sync."""


# --- config ---------------------------------------------------------------------------------------------------------------


class ConfigError(ForgedError):
    """The configuration does not validate."""

    scope = Scope.CONFIG

    def __init__(self, problems: tuple[str, ...]) -> None:
        self.problems = problems
        super().__init__("\n".join(problems))


# --- source ---------------------------------------------------------------------------------------------------------------


class SourceError(ForgedError):
    """The source could not do what was asked."""

    scope = Scope.SOURCE


class SourceUnreachable(SourceError):
    """The source does not answer."""

    transient = True
    default_hint = "check that the box runs and that host and port are still right; forged keeps trying"


class SourceLost(SourceError):
    """The connection to the source ended in the middle of the work."""

    transient = True
    default_hint = "forged reconnects and resumes by itself"


class SourceBroken(SourceError):
    """The source said something that the protocol does not allow; the connection was ended."""

    default_hint = "nothing it sent last was believed; if this goes on, the box is faulty or hostile: take it out of forged.toml"


class SourceMissing(SourceError):
    """The source's folder does not exist."""

    transient = True
    default_hint = "check the path in `source`; `forged probe URL` lists the output folders it finds"


class SourceEndless(SourceError):
    """The source shows more files than forged looks at in one go."""

    default_hint = "name the folders that are wanted in `folders`, or make several targets of it; on a small box: do not trust it"


class AuthRefused(SourceError):
    """The source refused our key."""

    default_hint = "add the public key to the box's authorized_keys, or set identity_file"


class HostKeyUnknown(SourceError):
    """The source's host key is not the expected one."""

    default_hint = 'compare the fingerprint with the box, then put it into host_key = "SHA256:..."'


class HostKeyChanged(SourceError):
    """The source's host key has changed since it was pinned."""

    default_hint = "if the box was rebuilt: `forgectl trust TARGET FINGERPRINT`; otherwise someone may be in between"


class NotSupported(SourceError):
    """This kind of source cannot do that."""


class Lacking(NotSupported):
    """The source has said clearly that it has not what this way to it takes."""

    default_hint = "install python3 (3.6 or newer) on the box: forged's agent needs nothing else"

    def __init__(self, message: str = "", *, hint: str = "", lacks: str) -> None:
        super().__init__(message, hint=hint)
        self.lacks = lacks
        """In two or three words, after which `on the box` can stand: `no python3`."""


# --- discovery ------------------------------------------------------------------------------------------------------------


class DiscoveryError(ForgedError):
    """It could not be found out which boxes there are."""

    transient = True
    default_hint = "boxes that are known already go on being synced; forged asks again by itself"


class DiscoveryRefused(DiscoveryError):
    """The provider refused the API key."""

    transient = False
    default_hint = "put a valid key into api_key_file; it is read again before each question"


class ApiKeyUnusable(DiscoveryRefused):
    """The API key cannot be read, or is none; the provider was not asked."""


class DiscoveryThrottled(DiscoveryError):
    """The provider wants to be asked less often."""

    def __init__(self, message: str = "", *, retry_after_s: float | None = None) -> None:
        super().__init__(message, hint="forged waits longer by itself; raise `every` if this goes on")
        self.retry_after_s = retry_after_s


# --- destination ----------------------------------------------------------------------------------------------------------


class DestinationError(ForgedError):
    """The destination could not do what was asked."""

    scope = Scope.DESTINATION
    transient = True


class DestinationMissing(DestinationError):
    """The destination folder does not exist, or is not mounted."""

    default_hint = "mount it, or create the folder; forged goes on by itself"


class MarkerMissing(DestinationError):
    """The destination's marker (.forged/id) is missing or another's, though files were landed there before."""

    default_hint = "is the right disk mounted? If the destination was moved on purpose, copy its .forged folder along"


class DestinationFailing(DestinationError):
    """The disk under the destination fails. What was durable there may be gone, too."""


class DestinationReadOnly(DestinationError):
    """The destination cannot be written to."""

    default_hint = "it and all below it must belong to the user that forged runs as (a service: `chown -R forged:` with its path)"
    of_the_mount = (
        "is it mounted read-only? A service may write below /srv/media alone: other folders go into a drop-in "
        "(`systemctl edit forged`, as in drop-ins/destination.conf), then: systemctl restart forged"
    )
    """The hint where not the owner but the file system says no; a hardened unit says it in the same way."""


class DiskFull(DestinationError):
    """The destination has less room than min_free."""

    default_hint = "free some room at home; forged goes on by itself"

    def __init__(self, message: str = "", *, hint: str = "", free_bytes: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.free_bytes = free_bytes
        """How much is left; None where only a write has failed."""


# --- ingest ---------------------------------------------------------------------------------------------------------------


class IngestError(ForgedError):
    """A handler did not take the events; they wait for it."""

    transient = True
    default_hint = "forged tries again by itself, and nothing is lost meanwhile"

    def __init__(self, message: str = "", *, hint: str = "", about: Collection[int] = ()) -> None:
        """`about`: the ids of the events that it failed on, or one of which it did: brought alone, others may be taken. None: it
        would have failed on any, since it is away, or cannot work at all."""
        super().__init__(message, hint=hint)
        self.about = frozenset(about)


class IngestRefused(IngestError):
    """The other side understood, and does not want these events."""

    transient = False
    default_hint = "check the address and what is configured at the other side; forged goes on trying, rarely"


class EventsRetried(ForgedError):
    """A handler did not take some events, while it takes others; they are tried again."""

    scope = Scope.FILE
    default_hint = (
        "mend what it says; `forgectl ingest retry` with its name brings them at once, `forgectl ingest` shows them. "
        "Nothing waits behind them but what concerns the same file"
    )


class EventsSetAside(ForgedError):
    """A handler did not take some events, however often it was brought them; they are set aside."""

    scope = Scope.FILE
    default_hint = "`forgectl ingest` shows them; when it is mended `forgectl ingest retry` with its name, else `drop`"


# --- media ----------------------------------------------------------------------------------------------------------------


class WorkerMissing(ForgedError):
    """No process can be started that looks into media files."""

    transient = True
    default_hint = "the log or dmesg may say why; the files wait, and forged tries again"


# --- store ----------------------------------------------------------------------------------------------------------------


class StoreError(ForgedError):
    """The state database could not do what was asked."""

    scope = Scope.STORE
    transient = True


class StoreDamaged(StoreError):
    """The state database is damaged."""

    transient = False
    default_hint = "start forged again: it keeps the damaged one, begins a new one, and adopts what is already home"


class StoreLost(StoreDamaged):
    """The state database is not there any more."""

    default_hint = "put it back, or start `forged run` or `forged once`: a new one begins, and what is already home is adopted"


class StoreForeign(StoreError):
    """The state database is the database of another program."""

    transient = False
    default_hint = "nothing was changed; give forged a state_dir of its own"


class StoreTooNew(StoreError):
    """The state database was written by a newer forged."""

    transient = False
    default_hint = "install the newer version again"


class StateDirectoryBusy(StoreError):
    """Another forged works with this state directory."""

    transient = False
    default_hint = "ask that one (forgectl), or give this one a state_dir of its own"


class StateTaken(StoreError):
    """Another forged works with this state database."""

    transient = False
    default_hint = "give each forged a memory of its own"
