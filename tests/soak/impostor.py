"""What a hostile box runs in the place of python3: agents that lie. One small class a lie; the name of the root folder says which.

`Hangs.FETCH` is the fault Hangs, at the step FETCH; `ZipBomb` needs no step. Whatever stands behind a `-` is only a number.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import sys
import time
import zlib
from collections.abc import Iterator
from typing import NoReturn

from forged.sources.agent.program import line as say
from tests.sources.agent.packing import planes, problems_block

STEPS = {"START": say.START, "CLOCK": say.CLOCK, "LIST": say.LIST, "FETCH": say.FETCH, "WATCH": say.WATCH}
"""What a daemon asks of every box by itself."""

LONG_AGO_NS, FAR_AHEAD_NS = 1_600_000_000 * 10**9, 4_000_000_000 * 10**9
ESCAPES = b"\x1b]0;owned\x07\x1b[2J\r\x9b31mred\n\x00\xff" * 8
SIZE_BYTES = 20_000


def block(prefix: bytes, names: list[bytes], facts: bytes) -> bytes:
    """Files of one folder, all of which look alike."""
    runs = say.RUN.pack(len(prefix), len(names)) + prefix
    return say.BLOCK.pack(say.FILES, 1) + runs + b"".join(name + b"\0" for name in names) + planes([facts] * len(names))


def looks(size_bytes: int, ctime_ns: int = LONG_AGO_NS) -> bytes:
    return say.FACTS.pack(size_bytes, LONG_AGO_NS, 1, ctime_ns)


class Agent:
    """An honest one, of three invented files of zeros. Who lies answers one question otherwise."""

    ABILITIES = b"list fetch hash look remove clock space watch"
    facts = looks(SIZE_BYTES)

    def __init__(self, step: str = "") -> None:
        self.step = STEPS.get(step, 0)
        self._line = say.Line(sys.stdin.buffer, 1)
        self._lists: dict[int, Iterator[bytes]] = {}
        self._reads: dict[int, list[int]] = {}
        self._listed = 0
        self._watches: set[int] = set()

    def begin(self) -> None:
        self._line.open()

    def live(self, first: tuple[int, int, bytes]) -> None:
        """Obeys until the client is gone."""
        frame: tuple[int, int, bytes] | None = first
        while frame is not None:
            self.obey(*frame)
            frame = self._line.receive()

    def say(self, kind: int, call: int, *parts: bytes) -> None:
        self._line.send(kind, call, *parts)

    def raw(self, data: bytes) -> None:
        """Bytes that are no frame, or only a part of one."""
        while data:
            try:
                data = data[os.write(1, data) :]
            except OSError:
                os._exit(0)

    def obey(self, kind: int, call: int, payload: bytes) -> None:
        match kind:
            case say.START:
                self.say(say.HELLO, call, say.GREETING.pack(say.VERSION, 1, time.time_ns(), 3, 6, 0), self.ABILITIES)
            case say.CLOCK:
                self.say(say.TIME, call, say.TIME_NS.pack(time.time_ns()))
            case say.LIST:
                self._lists[call] = self.blocks()
            case say.FETCH:
                wants_hash, begin, end, granted = say.RANGE.unpack_from(payload, say.EXPECTED.size)
                self._reads[call] = [end - begin, begin, int(wants_hash)]
                self.facts = payload[1 : say.EXPECTED.size]
                self.data(call, granted)
            case say.GRANT:
                self.granted(call, say.AMOUNT.unpack(payload)[0])
            case say.CANCEL:
                if call in self._lists or call in self._reads or call in self._watches:
                    self._forget(call)
                    self.say(say.PROBLEM, call, bytes([say.CANCELLED]))
            case say.LOOK:
                self.say(say.LOOKED, call, self.facts)
            case say.WATCH:
                self._watches.add(call)

    def _forget(self, call: int) -> None:
        self._lists.pop(call, None)
        self._reads.pop(call, None)
        self._watches.discard(call)

    def granted(self, call: int, amount: int) -> None:
        if call in self._lists:
            self._list(call, amount)
        elif call in self._reads:
            self.data(call, amount)
        elif call in self._watches:
            self.news(call, amount)

    # --- listings -----------------------------------------------------------------------------------------------------------

    def blocks(self) -> Iterator[bytes]:
        yield self.counted(block(b"", [b"a.bin", b"b.bin", b"c.bin"], self.facts), 3)

    def counted(self, block: bytes, files: int) -> bytes:
        self._listed += files
        return block

    def _list(self, call: int, amount: int) -> None:
        for raw in itertools.islice(self._lists[call], amount):
            self.say(say.LISTED, call, zlib.compress(raw, 1))
            amount -= 1
        if amount:
            self.say(say.LIST_END, call, say.END.pack(self._listed, time.time_ns()))
            self._listed = 0
            del self._lists[call]

    # --- files and news -----------------------------------------------------------------------------------------------------

    def data(self, call: int, amount: int) -> None:
        read = self._reads[call]
        sent = min(read[0], amount)
        if sent:
            self.say(say.DATA, call, bytes(sent))
            read[0] -= sent
            read[1] += sent
        if not read[0]:
            digest = hashlib.sha256(bytes(read[1])).digest() if read[2] else b""
            self.say(say.DONE, call, self.facts * 2, digest)
            del self._reads[call]

    def news(self, call: int, amount: int) -> None:
        """The watch is in place, and nothing happens."""
        if amount > 1:
            self.say(say.NOTICED, call, say.NEWS.pack(False, 0))


# --- faults that fit any step -----------------------------------------------------------------------------------------------


class Fault(Agent):
    """Honest up to its step."""

    def obey(self, kind: int, call: int, payload: bytes) -> None:
        if kind == self.step:
            self.err(call)
        else:
            super().obey(kind, call, payload)

    def err(self, call: int) -> None:
        """What it does instead of an answer."""


def for_ever() -> NoReturn:
    """Until the client ends the session: then standard input ends."""
    while os.read(0, 65_536):
        pass
    os._exit(0)


class Hangs(Fault):
    def err(self, call: int) -> None:
        for_ever()


class Dies(Fault):
    def err(self, call: int) -> None:
        os.write(2, ESCAPES)
        os._exit(3)


class BeatsForEver(Fault):
    def err(self, call: int) -> None:
        while True:
            self.say(say.BEAT, call)
            time.sleep(2)


class FloodsWithBeats(Fault):
    def err(self, call: int) -> None:
        while True:
            self.raw(say.HEADER.pack(say.BEAT, call, 0) * 7_000)


class Drips(Fault):
    """One byte a second of a frame that has a gigabyte of them before it."""

    def err(self, call: int) -> None:
        for byte in say.HEADER.pack(say.BEAT, call, 512) + bytes(512):
            self.raw(bytes([byte]))
            time.sleep(1)
        for_ever()


class AnswersAnother(Fault):
    def err(self, call: int) -> None:
        self.say(say.TIME, call + 1_000, bytes(8))


class AnswersWrongly(Fault):
    def err(self, call: int) -> None:
        self.say(say.REMOVED, call, b"surprise")


class Garbles(Fault):
    def err(self, call: int) -> None:
        while True:
            self.raw(os.urandom(65_536))


class Huge(Fault):
    def err(self, call: int) -> None:
        self.raw(say.HEADER.pack(say.LISTED, call, 0xFFFFFFFF))
        while True:
            self.raw(bytes(65_536))


class Paints(Fault):
    """Says why not, in the language of terminals."""

    def err(self, call: int) -> None:
        if self.step in (say.START, say.LIST):
            self.say(say.REFUSED, call, ESCAPES)
        else:
            self.say(say.PROBLEM, call, bytes([say.UNREADABLE]) + ESCAPES)
        for_ever()


class FloodsStandardError(Fault):
    def err(self, call: int) -> None:
        while True:
            os.write(2, ESCAPES * 100)


# --- lies of their own ------------------------------------------------------------------------------------------------------


class Vanishing(Agent):
    """What it lists is never there."""

    def data(self, call: int, amount: int) -> None:
        del self._reads[call]
        self.say(say.PROBLEM, call, bytes([say.VANISHED]) + b"gone")

    def numbers(self, files: int) -> Iterator[list[bytes]]:
        for first in itertools.count(0, files):
            yield [b"%015d" % n for n in range(first, first + files)]


class EndlessListing(Vanishing):
    def blocks(self) -> Iterator[bytes]:
        for names in self.numbers(1_000):
            yield self.counted(block(b"", names, self.facts), len(names))


class NeverSettles(EndlessListing):
    facts = looks(SIZE_BYTES, FAR_AHEAD_NS)


class LongPaths(Vanishing):
    """As many files in a block as may be, each with a path as long as can be."""

    files = 320

    def blocks(self) -> Iterator[bytes]:
        deep = (b"d" * 200 + b"/") * 20
        for first in itertools.count():
            names = [b"%03x" % n for n in range(self.files)]
            prefix = deep[:-18] + b"%016d/" % first
            yield self.counted(block(prefix, names, self.facts), len(names))


class LongPathsNeverSettle(LongPaths):
    facts = looks(SIZE_BYTES, FAR_AHEAD_NS)


class Unfolds(LongPaths):
    """More than may be."""

    files = 2_000


class EndlessProblems(Agent):
    def blocks(self) -> Iterator[bytes]:
        for n in itertools.count():
            yield problems_block(b"%015d" % n + ESCAPES.replace(b"\0", b""), say.UNREADABLE, ESCAPES[:200])


class ZipBomb(Agent):
    def blocks(self) -> Iterator[bytes]:
        while True:
            yield bytes(1 << 26)


class OutOfOrder(Agent):
    def blocks(self) -> Iterator[bytes]:
        yield block(b"", [b"b", b"a"], self.facts)


class Climbs(Agent):
    def blocks(self) -> Iterator[bytes]:
        yield block(b"../../", [b"a"], self.facts)


class Miscounts(Agent):
    def blocks(self) -> Iterator[bytes]:
        yield block(b"", [b"a"], self.facts)


class ListsUngranted(Agent):
    def _list(self, call: int, amount: int) -> None:
        for n in range(amount + 1):
            self.say(say.LISTED, call, zlib.compress(block(b"", [b"%09d" % n], self.facts)))


class PaintedNames(Agent):
    """Names that command a terminal; they come home under harmless ones."""

    def blocks(self) -> Iterator[bytes]:
        yield self.counted(block(b"\x1b[2J/", [b"\x1b]0;owned\x07\r\n.bin", b"~"], self.facts), 2)


class ClaimsAnExabyte(Agent):
    facts = looks(1 << 60)


class EndlessFile(Agent):
    def data(self, call: int, amount: int) -> None:
        while True:
            self.say(say.DATA, call, bytes(65_536))


class EndsEarly(Agent):
    def data(self, call: int, amount: int) -> None:
        self.say(say.DONE, call, self.facts * 2, bytes(32))


class LiesAboutHashes(Agent):
    def data(self, call: int, amount: int) -> None:
        read = self._reads.pop(call)
        self.say(say.DATA, call, bytes(read[0]))
        self.say(say.DONE, call, self.facts * 2, bytes(32))


class Crumbs(Agent):
    """A large file, two bytes a frame."""

    facts = looks(500_000_000)

    def data(self, call: int, amount: int) -> None:
        crumb = say.HEADER.pack(say.DATA, call, 2) + b"\0\0"
        for _ in range(amount // 2 // 4_096):
            self.raw(crumb * 4_096)
        self.raw(crumb * (amount // 2 % 4_096))


class DripsAFile(Agent):
    def data(self, call: int, amount: int) -> None:
        for _ in range(amount):
            self.say(say.DATA, call, b"\0")
            time.sleep(1)


class FloodsWithNews(Vanishing):
    """New files all the time, which are not there when they are asked for."""

    WHAT = say.CLOSED

    def news(self, call: int, amount: int) -> None:
        for _ in range(amount):
            self._listed += 1
            paths = [b"%d/%07d" % (n, self._listed) for n in range(250)]
            notices = b"".join(say.NOTICE.pack(self.WHAT, len(path)) + path + self.facts for path in paths)
            self.say(say.NOTICED, call, say.NEWS.pack(False, 0), notices)

    def blocks(self) -> Iterator[bytes]:
        yield from ()

    def _list(self, call: int, amount: int) -> None:
        self.say(say.LIST_END, call, say.END.pack(0, time.time_ns()))
        del self._lists[call]


class FloodsWithUnsettledNews(FloodsWithNews):
    WHAT = say.FOUND
    facts = looks(SIZE_BYTES, FAR_AHEAD_NS)


class FloodsWithOverflows(FloodsWithNews):
    def news(self, call: int, amount: int) -> None:
        for _ in range(amount):
            self.say(say.NOTICED, call, say.NEWS.pack(True, 7))


class Noise(Agent):
    def begin(self) -> None:
        while True:
            self.raw(ESCAPES)


class Whispers(Agent):
    """Before it says anything, a word a second."""

    def begin(self) -> None:
        while True:
            self.raw(b"wait\r\n")
            time.sleep(1)


def named(name: str) -> Agent:
    """The impostor of this name."""
    kind, _, step = name.partition("-")[0].partition(".")
    found = globals()[kind]
    assert issubclass(found, Agent)
    return found(step)


def names() -> list[str]:
    """Every lie there is, each fault at each step."""
    faults = [f"{fault.__name__}.{step}" for fault in Fault.__subclasses__() for step in STEPS]
    own = [name for name, kind in globals().items() if isinstance(kind, type) and issubclass(kind, Agent)]
    others = [name for name in own if not issubclass(globals()[name], Fault) and name not in ("Agent", "Vanishing")]
    return faults + others


def main() -> None:
    sys.stdin.buffer.read(int(sys.argv[-1]))
    frame = say.Line(sys.stdin.buffer, 1).receive()
    assert frame is not None
    agent = named(os.path.basename(frame[2]).decode())
    agent.begin()
    agent.live(frame)


if __name__ == "__main__":
    main()
