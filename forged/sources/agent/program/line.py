"""What both ends say, and the agent's end of the line: kinds, limits, records, Line and Credit. Its twin is `wire`."""

import os
import struct
import threading
import time
from contextlib import contextmanager
from typing import IO, Dict, Iterator, List, NoReturn, Optional, Sequence, Tuple

VERSION = 1
ABILITIES = b"list fetch hash look remove clock space"  # and watch, where the box can
MAGIC = b"\n\0forged agent\0\n"  # our first bytes: a login script that prints something does not confuse the client

START, LIST, GRANT, CANCEL, FETCH, HASH, LOOK, REMOVE, CLOCK, SPACE, WATCH, REMOVE_FOLDER, RESOLVE = range(0x01, 0x0E)
HELLO, REFUSED, LISTED, LIST_END, DATA, DONE, HASHED, LOOKED = range(0x81, 0x89)
REMOVED, PROBLEM, TIME, ROOM, BEAT, NOTICED, SAME, PLACED = range(0x89, 0x91)
CANCELLED, CHANGED, VANISHED, UNREADABLE, BAD_NAME, LINK = range(6)  # what a PROBLEM may say

HEADER = struct.Struct(">BII")  # kind, call, bytes that follow
FACTS = struct.Struct(">qqqq")  # size, mtime_ns, inode, ctime_ns
EXPECTED = struct.Struct(">Bqqqq")  # which are known (1 inode, 2 ctime), then FACTS
RANGE = struct.Struct(">?qqQ")  # of a FETCH: hash wanted, begin, end, bytes granted at once
AMOUNT = struct.Struct(">Q")
TIME_NS = struct.Struct(">q")
GREETING = struct.Struct(">HIqBBB")  # version, pid, time, Python's version; then the abilities
END = struct.Struct(">Qq")  # of a listing: how many entries, the time it began
DISK = struct.Struct(">QQ")  # free and total bytes
PLACE_AT = struct.Struct(">QQ")  # device and inode of a folder; then its path without links
KNOWN = struct.Struct(">H")  # of LIST: how many digests follow; then the folders, each with NUL behind it
BLOCK = struct.Struct(">BH")  # of a listing: FILES and how many folders have them, or PROBLEMS and how many there are
FILES, PROBLEMS = range(2)
RUN = struct.Struct(">HH")  # a folder in a block: length of its path with "/", number of its files; then the path
RECORD = struct.Struct(">BHH")  # a problem in a block: its kind, length of the path, of the message; then both
DIGEST = struct.Struct(">H14s")  # of a block: how many files it has, a hash of its bytes
PLACE = struct.Struct(">H")  # of SAME: the place of a digest among the known ones, for each block that is as it was
NEWS = struct.Struct(">?I")  # of a watch, before its notices: something was missed, folders without a watch
NOTICE = struct.Struct(">BH")  # what happened, length of the path; then the path, and FACTS of what is there
CLOSED, FOUND, GONE = range(1, 4)

MAX_NEWS_BYTES = 16384  # of one block of news: about 200 files
MAX_MESSAGE_BYTES = 300
MAX_REST_BYTES = 65536  # of a file's bytes may come with DONE: a small file is one frame
JOIN_BYTES = 262144  # frames that may wait go out together when so much has gathered ...
JOIN_PARTS = 1000  # ... or so many parts of them: writev takes 1,024
JOIN_S = 0.02  # ... or after so long
BEAT_S = 5.0  # a sign of life while nothing else is said; far below the client's limit of 60 s
LEAVE_S = 10.0  # how long the end waits for a removal in progress


class Trouble(Exception):
    """What is wrong with one path, or with one call."""

    def __init__(self, kind: int, message: str) -> None:
        super().__init__(message)
        self.kind = kind

    def packed(self) -> bytes:
        return bytes([self.kind]) + self.message()

    def message(self) -> bytes:
        return str(self).encode("utf-8", "replace")[:MAX_MESSAGE_BYTES]


class Stopped(Exception):
    """The client cancelled the call."""


class Line:
    """Standard input and output as frames. Any thread may send; each frame goes out whole."""

    def __init__(self, incoming: "IO[bytes]", outgoing: int) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._sending = threading.Lock()
        self._gathered: List[bytes] = []
        self._gathered_bytes = 0
        self._spoke_s = time.monotonic()
        self.heard_s = time.monotonic()
        self.halfway = threading.Lock()  # held while something must not be left half-done

    def open(self) -> None:
        """Says that from here on we speak, whatever a login script printed before."""
        os.write(self._outgoing, MAGIC)

    def receive(self) -> Optional[Tuple[int, int, bytes]]:
        """The next command: kind, call, payload. None when the client is gone."""
        head = self._incoming.read(HEADER.size)
        if len(head) < HEADER.size:
            return None
        kind, call, size = HEADER.unpack(head)
        payload = self._incoming.read(size)
        self.heard_s = time.monotonic()
        return (kind, call, payload) if len(payload) == size else None

    def send(self, kind: int, call: int, *parts: bytes) -> None:
        """Sends one frame. When nobody reads any more, the agent ends here."""
        with self._sending:
            self._gather(kind, call, parts)
            self._write()

    def later(self, kind: int, call: int, *parts: bytes) -> None:
        """Sends one frame soon: with the next one that is sent, with others that wait, or with `flush`."""
        with self._sending:
            self._gather(kind, call, parts)
            full = self._gathered_bytes >= JOIN_BYTES or len(self._gathered) >= JOIN_PARTS
            if full or time.monotonic() - self._spoke_s > JOIN_S:
                self._write()

    def flush(self) -> None:
        """Sends what waits."""
        with self._sending:
            if self._gathered:
                self._write()

    def _gather(self, kind: int, call: int, parts: Sequence[bytes]) -> None:
        size = sum(map(len, parts))
        self._gathered.append(HEADER.pack(kind, call, size))
        self._gathered.extend(parts)
        self._gathered_bytes += HEADER.size + size

    def _write(self) -> None:
        parts, size = self._gathered, self._gathered_bytes
        self._gathered, self._gathered_bytes = [], 0
        try:
            sent = os.writev(self._outgoing, parts)
            if sent < size:
                rest = memoryview(b"".join(parts))[sent:]
                while rest:
                    rest = rest[os.write(self._outgoing, rest) :]
        except OSError:
            self.leave(0)
        self._spoke_s = time.monotonic()

    def beat(self, call: int) -> None:
        """Says that `call` is still being worked on, if nothing was said for a while. Called where work moves on."""
        if time.monotonic() - self._spoke_s > BEAT_S:
            self.send(BEAT, call)

    def leave(self, code: int) -> NoReturn:
        """Ends the process, after a removal in progress. Other threads may be blocked, so nothing else is waited for."""
        self.halfway.acquire(timeout=LEAVE_S)
        os._exit(code)


class Credit:
    """How much each call may still send (bytes of files, blocks of listings), and which were cancelled (None)."""

    def __init__(self) -> None:
        self._left: Dict[int, Optional[int]] = {}
        self._hang_ups: Dict[int, int] = {}
        self._moved = threading.Condition()

    def open(self, call: int) -> None:
        with self._moved:
            self._left[call] = 0

    def close(self, call: int) -> None:
        with self._moved:
            self._left.pop(call, None)

    def grant(self, call: int, amount: int) -> None:
        with self._moved:
            left = self._left.get(call)
            if left is not None:
                self._left[call] = left + amount
                self._moved.notify_all()

    def spend(self, call: int, amount: int) -> None:
        self.grant(call, -amount)

    def cancel(self, call: int) -> None:
        with self._moved:
            if self._left.get(call) is not None:
                self._left[call] = None
                self._moved.notify_all()
                if call in self._hang_ups:
                    os.write(self._hang_ups[call], b"\0")

    @contextmanager
    def hang_up(self, call: int) -> Iterator[int]:
        """A descriptor that becomes readable when `call` is cancelled from now on, for those who wait in poll()."""
        heard, told = os.pipe()
        with self._moved:
            self._hang_ups[call] = told
        try:
            yield heard
        finally:
            with self._moved:
                del self._hang_ups[call]
            os.close(heard)
            os.close(told)

    def check(self, call: int) -> None:
        """Raises Stopped when `call` was cancelled."""
        if self._left[call] is None:
            raise Stopped

    def take(self, call: int) -> int:
        """All that `call` may send now; waits until it is something. Raises Stopped."""
        with self._moved:
            amount = self.wait(call)
            self._left[call] = 0
            return amount

    def wait(self, call: int) -> int:
        """How much `call` may send now; waits until it is something. Raises Stopped."""
        with self._moved:
            while self._left[call] == 0:
                self._moved.wait()
            self.check(call)
            return self._left[call] or 0
