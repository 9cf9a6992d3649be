"""The agent itself: reads commands and answers each exactly once. `main` is where the streamed program begins.

One thread reads commands, so that grants and cancels are heard while data streams. One thread each streams files, hashes files
and does the small things; every listing has its own, so that a listing whose reader is slow holds up nothing else, and so has
a watch.
"""

import fcntl
import functools
import os
import queue
import sys
import threading
import time
import traceback
import zlib
from typing import Callable, Tuple

from forged.sources.agent.program import line as say
from forged.sources.agent.program.blocks import Blocks, parse_list
from forged.sources.agent.program.inotify import can_watch
from forged.sources.agent.program.line import Credit, Line, Stopped, Trouble
from forged.sources.agent.program.listing import Walk
from forged.sources.agent.program.reading import Reading
from forged.sources.agent.program.removal import remove_guarded
from forged.sources.agent.program.tree import Expected, File, Tree, facts, same_outside, trouble_of
from forged.sources.agent.program.watching import Scope, Watch

NICENESS = 5  # the box works for its owner first
MAX_UINT64 = (1 << 64) - 1  # some systems count devices below zero; only equality matters
F_SETPIPE_SZ = 1031  # linux/fcntl.h; Python names it from 3.10 on
# Standard output holds four chunks, so that reading and hashing go on while the line drains; with the usual 64 KiB they waited
# for each other: 280 instead of 740 MB/s. It is the most that pipe-max-size of proc(5) allows to everyone.
PIPE_BYTES = 1 << 20
Queue = getattr(queue, "SimpleQueue", queue.Queue)  # five times as fast, since Python 3.7

Work = Callable[[int, bytes], None]


def now_ns() -> int:
    return int(time.time() * 1000000) * 1000  # time_ns() came with Python 3.7


def or_die(line: Line, work: Callable[..., None], *args: object) -> None:
    """Runs `work`; a mistake of ours ends the agent visibly, instead of leaving the client to wait for an answer."""
    well = False
    try:
        work(*args)
        well = True
    finally:
        if not well:
            traceback.print_exc()
            sys.stderr.flush()
            line.leave(70)


class Agent:
    """What the client may ask for. Each method takes the call's number and payload."""

    def __init__(self, line: Line, tree: Tree) -> None:
        self._line, self._tree, self._credit = line, tree, Credit()
        self._reading = Reading(line, tree, self._credit)
        fetching, hashing, small = self._worker(), self._worker(), self._worker()
        self._duties = {
            say.LIST: (self._spawn, self.list),
            say.FETCH: (fetching, self._reading.fetch),
            say.HASH: (hashing, self._reading.hash),
            say.LOOK: (small, self.look),
            say.REMOVE: (small, self.remove),
            say.CLOCK: (small, self.clock),
            say.SPACE: (small, self.space),
            say.WATCH: (self._spawn, self.watch),
            say.REMOVE_FOLDER: (small, self.remove_folder),
            say.RESOLVE: (small, self.resolve),
        }

    def serve(self) -> None:
        """Takes commands until the client is gone."""
        frame = self._line.receive()
        while frame is not None:
            kind, call, payload = frame
            if kind == say.GRANT:
                self._credit.grant(call, say.AMOUNT.unpack(payload)[0])
            elif kind == say.CANCEL:
                self._credit.cancel(call)
            else:
                hand_over, work = self._duties[kind]
                self._credit.open(call)
                hand_over(work, call, payload)
            frame = self._line.receive()

    def _worker(self) -> Callable[[Work, int, bytes], None]:
        waiting: "queue.Queue[Tuple[Work, int, bytes]]" = Queue()

        def work_on() -> None:
            while True:
                if waiting.empty():
                    self._line.flush()
                self._answer(*waiting.get())

        threading.Thread(target=or_die, args=(self._line, work_on), daemon=True).start()
        return lambda work, call, payload: waiting.put((work, call, payload))

    def _spawn(self, work: Work, call: int, payload: bytes) -> None:
        threading.Thread(target=or_die, args=(self._line, self._answer, work, call, payload), daemon=True).start()

    def _answer(self, work: Work, call: int, payload: bytes) -> None:
        try:
            self._credit.check(call)
            work(call, payload)
        except Stopped:
            self._line.send(say.PROBLEM, call, bytes([say.CANCELLED]))
        except (Trouble, OSError) as error:
            trouble = error if isinstance(error, Trouble) else trouble_of(error)
            self._line.send(say.PROBLEM, call, trouble.packed())
        finally:
            self._credit.close(call)

    def _alive(self, call: int) -> None:
        self._credit.check(call)
        self._line.beat(call)

    def list(self, call: int, payload: bytes) -> None:
        """Known digests and folders; none of those = the whole tree. Answers blocks as they are granted, and the end."""
        began_ns = now_ns()
        known, folders = parse_list(payload)
        blocks = Blocks(
            lambda block: self._send_block(say.LISTED, call, zlib.compress(block, 1)),
            lambda places: self._line.send(say.SAME, call, places),
            known,
        )
        try:
            self._tree.refresh()
            Walk(self._tree, blocks, lambda: self._alive(call)).below(folders or [b""])
            blocks.flush()
            self._tree.must_be_there()
        except OSError as error:
            self._line.send(say.REFUSED, call, trouble_of(error).message())
        else:
            self._line.send(say.LIST_END, call, say.END.pack(blocks.entries, began_ns))

    def _send_block(self, kind: int, call: int, block: bytes) -> None:
        self._credit.wait(call)
        self._credit.spend(call, 1)
        self._line.send(kind, call, block)

    def watch(self, call: int, payload: bytes) -> None:
        """Folders as for a listing. Answers blocks of news as they are granted, the first when the watch is in place."""
        scope = Scope(payload.split(b"\0")[:-1])
        with self._credit.hang_up(call) as hang_up:
            tell = functools.partial(self._send_block, say.NOTICED, call)
            Watch(self._tree, scope, tell, lambda: self._alive(call), hang_up).run()

    def look(self, call: int, payload: bytes) -> None:
        """How a file looks now."""
        self._line.send(say.LOOKED, call, say.FACTS.pack(*self._tree.look(payload)))

    def remove(self, call: int, payload: bytes) -> None:
        """Removes a file that is as expected. Where only inode or ctime moved since, the sha256 decides."""
        expected = say.EXPECTED.unpack_from(payload)
        sha256, path = payload[say.EXPECTED.size :][:32], payload[say.EXPECTED.size + 32 :]
        with self._tree.opened(path) as file:
            self._must_be_ours(call, file, expected, sha256)
            with self._line.halfway:
                remove_guarded(file.folder, file.name, file.before)
        self._line.send(say.REMOVED, call)

    def _must_be_ours(self, call: int, file: File, expected: Expected, sha256: bytes) -> None:
        if file.is_as(expected):
            return
        if not same_outside(facts(file.before), expected) or self._reading.hash_all(call, file)[0] != sha256:
            raise Trouble(say.CHANGED, "it is not what was brought home")

    def remove_folder(self, call: int, path: bytes) -> None:
        """Removes a folder if it is empty."""
        self._tree.remove_folder(path)
        self._line.send(say.REMOVED, call)

    def resolve(self, call: int, path: bytes) -> None:
        """Where a folder really is."""
        device, inode, real = self._tree.resolve(path)
        self._line.send(say.PLACED, call, say.PLACE_AT.pack(device & MAX_UINT64, inode & MAX_UINT64), real)

    def clock(self, call: int, _payload: bytes) -> None:
        """The time of day here."""
        self._line.send(say.TIME, call, say.TIME_NS.pack(now_ns()))

    def space(self, call: int, _payload: bytes) -> None:
        """Free and total bytes of the root's file system."""
        self._line.send(say.ROOM, call, say.DISK.pack(*self._tree.room()))


def begin(line: Line) -> Agent:
    """Answers START: hello, or why not."""
    frame = line.receive()
    if frame is None:
        line.leave(0)
    _, call, root = frame
    try:
        tree = Tree(root)
    except OSError as error:
        line.send(say.REFUSED, call, trouble_of(error).message())
        line.leave(1)
    greeting = say.GREETING.pack(say.VERSION, os.getpid(), now_ns(), *sys.version_info[:3])
    line.send(say.HELLO, call, greeting, say.ABILITIES, b" watch" if can_watch() else b"")
    return Agent(line, tree)


def settle_in() -> None:
    """Steps back behind the box's own work, and widens the pipe."""
    try:
        os.nice(NICENESS)
        fcntl.fcntl(sys.stdout.fileno(), F_SETPIPE_SZ, PIPE_BYTES)
    except OSError:
        pass  # not allowed, or no pipe: not worth failing for


def expire(line: Line, lease_s: int) -> None:
    """Ends the agent once nothing was heard for so long: where the end of the client does not end our standard input."""
    while time.monotonic() - line.heard_s < lease_s:
        time.sleep(lease_s / 4)
    line.leave(0)


def main() -> None:
    settle_in()
    line = Line(sys.stdin.buffer, sys.stdout.fileno())
    if len(sys.argv) > 2:
        threading.Thread(target=expire, args=(line, int(sys.argv[2])), daemon=True).start()
    line.open()
    begin(line).serve()
    line.leave(0)
