"""The socket's place: made with care, replaced only when dead, removed only when ours, or inherited."""

from __future__ import annotations

import grp
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from forged.control.listening import SocketTaken, inherited, listen
from tests.control.serving import open_folder


@pytest.fixture
def path() -> Iterator[Path]:
    with open_folder() as folder:
        yield folder / "run" / "forged.sock"


def test_the_folder_is_made_and_the_mode_and_group_are_set(path: Path) -> None:
    before = os.umask(0o077)
    try:
        listening = listen(path, mode=0o660, group=str(os.getgid()))
        assert os.umask(0o077) == 0o077, "the umask is as it was"
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o755
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    assert listening.group == path.stat().st_gid == os.getgid()
    listening.close()
    assert not path.exists()


def test_nobody_gets_in_before_the_group_and_the_mode_are_set(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(os, "chown", lambda place, *_: seen.append(stat.S_IMODE(os.stat(place).st_mode)))
    listen(path, mode=0o666, group=str(os.getgid())).close()
    assert seen == [0o600]


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become somebody else")
@pytest.mark.root
def test_a_group_one_may_not_give_is_an_error_that_leaves_nothing_behind(path: Path) -> None:
    path.parent.mkdir()
    os.chown(path.parent, 65534, 65534)
    program = f"""
import grp, os
from pathlib import Path
from forged.control.listening import SocketTaken, listen
os.setgroups([]); os.setgid(65534); os.setuid(65534)  # after the imports: the checkout may lie where nobody may look
try:
    listen(Path({str(path)!r}), group="0")
except SocketTaken as e:
    print(e.message)
"""
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60).stdout
    assert "Operation not permitted" in told
    assert not path.exists()


def test_a_group_has_a_name_or_does_not_exist(path: Path) -> None:
    name = grp.getgrgid(os.getgid()).gr_name
    listen(path, group=name).close()
    with pytest.raises(SocketTaken, match="there is no group 'nonexistent'"):
        listen(path, group="nonexistent")


def test_a_socket_that_nobody_answers_on_is_replaced(path: Path) -> None:
    dead = listen(path)
    dead.socket.close()
    listen(path).close()


def test_a_socket_that_is_alive_is_left_alone(path: Path) -> None:
    alive = listen(path)
    with pytest.raises(SocketTaken, match="another program answers"):
        listen(path)
    assert path.exists()
    alive.close()


def test_a_socket_whose_queue_is_full_is_alive(path: Path) -> None:
    path.parent.mkdir()
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        with pytest.raises(SocketTaken, match="in use"):
            listen(path)


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_what_is_no_socket_is_left_alone(kind: str, path: Path) -> None:
    path.parent.mkdir()
    other = path.with_name("other.sock")
    dead = listen(other)
    dead.socket.close()
    match kind:
        case "file":
            path.write_text("precious")
        case "link":
            path.symlink_to(other)
        case _:
            path.mkdir()
    with pytest.raises(SocketTaken, match="is not a socket"):
        listen(path)
    assert path.exists()
    assert other.exists()


def test_another_socket_at_the_place_is_not_removed(path: Path) -> None:
    ours = listen(path)
    path.unlink()
    theirs = listen(path)
    ours.close()
    assert path.exists()
    theirs.close()


def test_a_path_that_is_too_long_says_so(path: Path) -> None:
    with pytest.raises(SocketTaken) as caught:
        listen(path.with_name("x" * 100))
    assert "107 bytes" in caught.value.hint


def test_without_variables_nothing_is_inherited() -> None:
    env = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "LISTEN_FDNAMES": "x", "HOME": "/"}
    assert inherited(env) is None
    assert env == {"HOME": "/"}


CHILD = """
import os, socket, sys
from forged.control.listening import SocketTaken, inherited
env = {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}
try:
    listening = inherited(env)
    print(listening.path, env)
    listening.close()
except SocketTaken as e:
    print(e.message)
"""


def child_with(given: socket.socket) -> str:
    """What a program says that finds this socket as its descriptor 3, as systemd.socket(5) hands it over."""
    script = f"import os; os.dup2({given.fileno()}, 3)\n{CHILD}"
    return subprocess.run(
        [sys.executable, "-c", script], pass_fds=[given.fileno()], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()


def test_a_socket_from_systemd_is_used_and_left_where_it_is(path: Path) -> None:
    listening = listen(path)
    assert child_with(listening.socket) == f"{path} {{}}"
    assert path.exists()
    listening.close()


def test_what_is_no_listening_socket_is_not_taken_from_systemd() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as datagrams, socket.socket(socket.AF_UNIX) as silent:
        assert child_with(datagrams) == child_with(silent) == "systemd hands over no Unix stream socket"
