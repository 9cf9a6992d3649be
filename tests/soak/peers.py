"""Bad peers of a control socket, as a program: `python -m tests.soak.peers '{"path": ..., ...}'`, one process for each user.

Each does one misdeed after the other in several threads, and looks whether it is treated as the interface says. In the end the
process prints what it did, as JSON, and fails if anything was wrong.
"""

from __future__ import annotations

import json
import os
import random
import resource
import socket
import struct
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass

MEBIBYTE = 1 << 20
PATIENCE_S = 120.0
"""How long the daemon may take to answer a bad peer; all of them together are far more than anybody will ever meet."""

BLOCKED_S = 2.0
"""Who does not read is not read from: so long do floods push all the same."""

GONE = (BrokenPipeError, ConnectionResetError)
REFUSED = {-32001}
BUSY = -32003


@dataclass(frozen=True)
class Role:
    """Who does it, and for how long. `uid` None: whoever we are. `groups`: of the process, its first one included."""

    path: str
    seconds: float
    seed: int
    uid: int | None = None
    groups: tuple[int, ...] = ()
    level: str = "admin"
    """What the daemon should take us for: admin, steer or look."""
    threads: int = 3
    most_connections: int = 10
    """Held at once by one thread; for the user whose honest connections must find room, few."""


class BadPeer:
    """One thread's worth of misdeeds."""

    def __init__(self, role: Role, number: int, did: Counter[str]) -> None:
        self._role, self._did = role, did
        self._chance = random.Random(role.seed * 100 + number)

    def run(self) -> None:
        end_s = time.monotonic() + self._role.seconds
        deeds = self._deeds()
        while time.monotonic() < end_s:
            deed = self._chance.choice(deeds)
            with suppress(*GONE):
                deed()
            self._did[deed.__name__] += 1

    def _deeds(self) -> list[Callable[[], None]]:
        return [
            self.huge_line, self.endless_line, self.half_line, self.deep_nesting, self.slow_reader, self.slow_writer,
            self.many_connections, self.flood, self.flood_of_batches, self.half_close, self.garbage, self.break_off,
            self.follow_and_sleep, self.overstep,
        ]  # fmt: skip

    # --- what bad peers do --------------------------------------------------------------------------------------------------

    def huge_line(self) -> None:
        with self._line() as line:
            _push(line, b'{"jsonrpc":"2.0","id":1,"method":"' + b"x" * self._chance.randrange(MEBIBYTE, 4 * MEBIBYTE) + b'"}\n')
            self._is_end(line)

    def endless_line(self) -> None:
        """A correct daemon ends it after a mebibyte and what lies in buffers; the bound here only keeps the test from hanging."""
        with self._line() as line:
            for _ in range(64):
                if not _push(line, b"x" * MEBIBYTE):
                    break
            else:
                raise AssertionError("64 MiB of one line were taken")
            self._is_end(line)

    def half_line(self) -> None:
        """As much as a line may have, and never its end: the daemon has to hold it."""
        with ExitStack() as stack:
            for _ in range(8):
                _push(stack.enter_context(self._line()), b"x" * (MEBIBYTE - 1), BLOCKED_S)
            time.sleep(self._chance.random())

    def deep_nesting(self) -> None:
        opening, closing = self._chance.choice([(b"[", b"]"), (b'{"a":', b"}")])
        depth = self._chance.randrange(200, 100_000)
        with self._line() as line:
            _push(line, opening * depth + b"1" + closing * depth + b"\n" + _call(7, "daemon.status"))
            self._answers(line, 2)

    def slow_reader(self) -> None:
        with self._line() as line:
            _push(line, b"".join(_call(number, "rpc.discover") for number in range(200)), BLOCKED_S)
            time.sleep(self._chance.random() * 2)
            line.recv(1)

    def slow_writer(self) -> None:
        with self._line() as line:
            for byte in _call(3, "daemon.status"):
                line.sendall(bytes([byte]))
                time.sleep(self._chance.random() * 0.02)
            self._answers(line, 1)

    def many_connections(self) -> None:
        """Most find no room, are told so, and are let go."""
        with ExitStack() as stack:
            for _ in range(self._role.most_connections):
                stack.enter_context(_connected(self._role.path))
            self._did["connections"] += self._role.most_connections
            time.sleep(self._chance.random())

    def flood(self) -> None:
        with self._line() as line:
            kinds = [_call(None, "daemon.status"), b"nonsense\n", _call(5, "no.such.method"), b"\n", _call(6, "target.list")]
            _push(line, b"".join(self._chance.choices(kinds, k=5_000)), BLOCKED_S)
            self._did["requests"] += 5_000

    def flood_of_batches(self) -> None:
        batch = b"[" + b",".join([_call(8, "daemon.status").strip()] * 100) + b"]\n"
        with self._line() as line:
            _push(line, batch * 20, BLOCKED_S)
            self._did["requests"] += 2_000
            for answer in self._answers(line, 1):
                assert len(answer) == 100, "a batch is not answered whole"

    def half_close(self) -> None:
        with self._line() as line:
            _push(line, _call(1, "daemon.status") + _call(2, "target.list") + b'{"jsonrpc":"2.0","id":3')
            line.shutdown(socket.SHUT_WR)
            ids = [answer["id"] for answer in self._answers(line, 4)]
            assert sorted(ids, key=str) == [1, 2, None], f"after a half-close these were answered: {ids}"

    def garbage(self) -> None:
        with self._line() as line:
            _push(line, self._chance.randbytes(self._chance.randrange(200_000)), BLOCKED_S)

    def break_off(self) -> None:
        request = b"[" + b",".join([_call(1, "rpc.discover").strip()] * 5) + b"]\n"
        with self._line() as line:
            _push(line, request[: self._chance.randrange(len(request) + 1)])

    def follow_and_sleep(self) -> None:
        with self._line() as line:
            _push(line, _call(1, "events.subscribe") + _call(2, "sync.subscribe"))
            time.sleep(self._chance.random() * 3)

    def overstep(self) -> None:
        """What a person of this standing may not do is refused, and what they may do is done."""
        with self._line() as line:
            asked = {
                "steer": _call(1, "daemon.reload", {"wait": False}),
                "admin": _call(2, "target.trust", {"target": "no such target", "fingerprint": "SHA256:x"}),
                "ad hoc": _call(3, "sync.start", {"config": {}}),
            }
            _push(line, b"".join(asked.values()))
            refused = {each["id"] for each in self._answers(line, 3) if each.get("error", {}).get("code") in REFUSED}
            assert refused == {"admin": set(), "steer": {2, 3}, "look": {1, 2, 3}}[self._role.level], f"refused: {refused}"

    # ------------------------------------------------------------------------------------------------------------------------

    @contextmanager
    def _line(self) -> Iterator[socket.socket]:
        """A connection that has a seat; there may be none for a while, since others of the same user have them all."""
        with _connected(self._role.path) as line:
            _push(line, _call("seated", "daemon.status"))
            (answer,) = self._answers(line, 1) or [{"id": None}]
            if answer["id"] == "seated":
                yield line
                return
        self._did["found no seat"] += 1
        time.sleep(0.05)
        raise ConnectionResetError

    def _answers(self, line: socket.socket, count: int) -> list[dict[str, object]]:
        """So many answers, fewer where the connection ends. Each is a whole line of JSON of at most a mebibyte."""
        answers, held = [], b""
        while len(answers) < count:
            piece = _received(line)
            if not piece:
                assert not held, f"the last line is cut short: {held[:100]!r}"
                break
            *lines, held = (held + piece).split(b"\n")
            assert all(len(each) <= MEBIBYTE for each in lines)
            answers += [json.loads(each) for each in lines]
        return [each for each in answers if "method" not in each]

    def _is_end(self, line: socket.socket) -> None:
        """One error, then nothing."""
        answers = self._answers(line, 2)
        assert [answer["error"]["code"] for answer in answers] == [-32600], answers  # type: ignore[index]


def _call(id_: object, method: str, params: object = None) -> bytes:
    request = {"jsonrpc": "2.0", "method": method, "params": params or {}}
    return json.dumps(request if id_ is None else {**request, "id": id_}).encode() + b"\n"


def _connected(path: str) -> socket.socket:
    """Waits its turn in the queue of connections: it is full for as long as the others want it to be."""
    line = socket.socket(socket.AF_UNIX)
    line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(PATIENCE_S), 0))
    line.connect(path)
    line.settimeout(PATIENCE_S)
    return line


def _push(line: socket.socket, data: bytes, within_s: float = PATIENCE_S) -> bool:
    """Sends for as long as it is taken, and leaves what is not taken by then. False when the other end is closed."""
    line.settimeout(within_s)
    try:
        line.sendall(data)
    except TimeoutError:
        pass
    except GONE:
        return False
    finally:
        line.settimeout(PATIENCE_S)
    return True


def _received(line: socket.socket) -> bytes:
    try:
        return line.recv(65_536)
    except ConnectionResetError:
        return b""


def _become(role: Role) -> None:
    if role.uid is not None:
        os.setgroups(role.groups)
        os.setgid(role.groups[0])
        os.setuid(role.uid)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard := resource.getrlimit(resource.RLIMIT_NOFILE)[1], hard))


def main(role: Role) -> int:
    """Exit status 1 when something was wrong; it is on standard error."""
    did, wrong = Counter[str](), list[str]()

    def work(number: int) -> None:
        try:
            BadPeer(role, number, did).run()
        except BaseException:
            wrong.append(traceback.format_exc())
            raise

    _become(role)
    threads = [threading.Thread(target=work, args=(number,)) for number in range(role.threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(did))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Role(**json.loads(sys.argv[1]))))
