"""How files are read for the client: a range of bytes as it is granted, or only the hash."""

import hashlib
import os
from typing import Any, Tuple

from forged.sources.agent.program import line as say
from forged.sources.agent.program.line import Credit, Line, Trouble
from forged.sources.agent.program.tree import Facts, File, Tree, facts

CHUNK_BYTES = 262144  # read and sent at once; sendfile and larger chunks gained nothing when measured
PATH_AT = say.EXPECTED.size + say.RANGE.size  # where it begins in FETCH


class Reading:
    """Answers FETCH and HASH."""

    def __init__(self, line: Line, tree: Tree, credit: Credit) -> None:
        self._line, self._tree, self._credit = line, tree, credit

    def fetch(self, call: int, payload: bytes) -> None:
        """A range of a file that is as expected, as granted; at the end its looks, its hash if asked, and the last bytes."""
        want_hash, begin, end, granted = say.RANGE.unpack_from(payload, say.EXPECTED.size)
        with self._tree.opened(payload[PATH_AT:]) as file:
            file.must_be(say.EXPECTED.unpack_from(payload))
            digest = hashlib.sha256() if want_hash else None
            if digest:
                self._digest(call, file, begin, digest)
            elif begin:
                os.lseek(file.fd, begin, os.SEEK_SET)
            rest = self._stream(call, file, end - begin, granted, digest)
            looks = say.FACTS.pack(*facts(file.before)) + say.FACTS.pack(*file.after())
        self._line.later(say.DONE, call, looks, digest.digest() if digest else b"", rest)

    def _stream(self, call: int, file: File, left: int, granted: int, digest: Any) -> bytes:
        """Sends the next `left` bytes, but for the last few, which it answers."""
        while left:
            granted = granted or self._credit.take(call)
            self._credit.check(call)
            chunk = file.read(min(left, granted, CHUNK_BYTES))
            granted -= len(chunk)
            left -= len(chunk)
            if digest:
                digest.update(chunk)
            if not left and len(chunk) <= say.MAX_REST_BYTES:
                return chunk
            self._line.send(say.DATA, call, chunk)
        return b""

    def hash(self, call: int, payload: bytes) -> None:
        """The sha256 of a file that is as expected, before and after."""
        with self._tree.opened(payload[say.EXPECTED.size :]) as file:
            file.must_be(say.EXPECTED.unpack_from(payload))
            digest, after = self.hash_all(call, file)
        self._line.send(say.HASHED, call, say.FACTS.pack(*after), digest)

    def hash_all(self, call: int, file: File) -> Tuple[bytes, Facts]:
        """The sha256 of an open file, and how it looks after the last byte: as before."""
        digest = hashlib.sha256()
        self._digest(call, file, file.before.st_size, digest)
        after = file.after()
        if after != facts(file.before):
            raise Trouble(say.CHANGED, "it changed while it was hashed")
        return digest.digest(), after

    def _digest(self, call: int, file: File, left: int, digest: Any) -> None:
        while left:
            chunk = file.read(min(left, CHUNK_BYTES))
            digest.update(chunk)
            left -= len(chunk)
            self._credit.check(call)
            self._line.beat(call)
