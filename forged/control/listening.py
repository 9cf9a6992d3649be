"""The socket's place in the file system: made with care, and removed only while it is ours. Or inherited from systemd."""

from __future__ import annotations

import grp
import os
import socket
import stat
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from forged.model.errors import ForgedError

CONNECTIONS_WAITING = 512
"""Not yet accepted; beyond it connect(2) waits. Linux cuts it to net.core.somaxconn, 4096 since 5.4."""

_FIRST_INHERITED_FD = 3
"""SD_LISTEN_FDS_START of sd_listen_fds(3)."""

_FOLDER_MODE = 0o755
"""Who may connect is decided by the mode of the socket; its folder only must be passable."""


class SocketTaken(ForgedError):
    """The control socket cannot be made"""

    default_hint = "another forged may run: stop it, or set `socket` in [daemon] to another path"


@dataclass(frozen=True, slots=True)
class Listening:
    """A socket that listens. `group` is the gid whose members may steer; `identity` is None for one that systemd made."""

    socket: socket.socket
    path: Path
    group: int
    identity: tuple[int, int] | None

    def close(self) -> None:
        """Stops listening; removes the file unless somebody has put another one there, or it is systemd's."""
        with suppress(OSError):
            if self.identity and _identity(self.path) == self.identity:
                self.path.unlink()
        self.socket.close()


def listen(path: Path, *, mode: int = 0o660, group: str = "") -> Listening:
    """Makes the socket at `path`: folder if missing, group (a name or a gid) if given, then the mode; nobody gets in before.

    A socket that nobody answers on any more is replaced; a file of another kind, or a socket that is alive, is not. Raises
    SocketTaken. Call it at start, before other threads make files: while it binds, the process's umask is 0177.
    """
    gid = _gid(group)
    try:
        _make_folder(path.parent)
        _remove_stale(path)
        listener = _bound(path, mode, gid)
    except OSError as e:
        raise SocketTaken(f"The control socket {path} cannot be made: {e.strerror or e}", hint=_hint(e)) from e
    return Listening(listener, path, path.stat().st_gid, _identity(path))


def inherited(env: MutableMapping[str, str]) -> Listening | None:
    """The socket that systemd listens on for us (socket activation, sd_listen_fds(3)); None where it does not.

    Takes the variables out of `env`, so that no child believes they were meant for it. Raises SocketTaken for anything but one
    listening Unix stream socket.
    """
    pid, count, _ = (env.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"))
    if pid != str(os.getpid()):
        return None
    if count != "1":
        raise SocketTaken(f"systemd hands over {count or 'no'} sockets", hint="the .socket unit needs exactly one ListenStream=")
    os.set_inheritable(_FIRST_INHERITED_FD, False)
    listener = socket.socket(fileno=_FIRST_INHERITED_FD)
    if (listener.family, listener.type) != (socket.AF_UNIX, socket.SOCK_STREAM) or not _is_listening(listener):
        listener.close()
        raise SocketTaken("systemd hands over no Unix stream socket", hint="the .socket unit needs ListenStream=/an/absolute/path")
    listener.setblocking(False)
    path = Path(listener.getsockname())
    return Listening(listener, path, path.stat().st_gid, identity=None)


def _is_listening(listener: socket.socket) -> bool:
    return bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))


def _make_folder(folder: Path) -> None:
    if not folder.is_dir():
        folder.mkdir(parents=True)
        folder.chmod(_FOLDER_MODE)


def _remove_stale(path: Path) -> None:
    """Raises SocketTaken when somebody answers there, or when it is no socket. The check follows no symlink."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise SocketTaken(f"{path} is not a socket", hint="move it away, or set `socket` in [daemon] to another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # one whose queue is full says so instead of making us wait
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except OSError as e:
            raise SocketTaken(f"{path} is in use: {e.strerror}") from e
    raise SocketTaken(f"another program answers on {path}")


def _bound(path: Path, mode: int, gid: int | None) -> socket.socket:
    with ExitStack() as undo:
        listener = undo.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        with _umask(0o177):
            listener.bind(str(path))
        undo.callback(path.unlink)
        listener.listen(CONNECTIONS_WAITING)
        if gid is not None:
            os.chown(path, -1, gid)
        path.chmod(mode)
        listener.setblocking(False)
        undo.pop_all()  # all went well: the socket stays
    return listener


@contextmanager
def _umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


def _gid(group: str) -> int | None:
    if not group or group.isdecimal():
        return int(group) if group else None
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError as e:
        raise SocketTaken(f"there is no group {group!r}", hint="create it (groupadd), or change `socket_group` in [daemon]") from e


def _identity(path: Path) -> tuple[int, int]:
    found = path.lstat()
    return found.st_dev, found.st_ino


def _hint(error: OSError) -> str:
    if isinstance(error, PermissionError):
        return "choose a path in a folder of your own, or join the group that is to own the socket"
    if "too long" in str(error):
        return "a Unix socket's path holds at most 107 bytes: set a shorter `socket` in [daemon]"
    return ""
