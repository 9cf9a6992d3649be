"""Collects the answers to one line: one, none, or an array that still fits a line."""

from __future__ import annotations

from collections.abc import Callable

from forged.control.errors import AnswerTooLarge
from forged.control.protocol import LINE_MOST_BYTES, Id, error_line

ERROR_MOST_BYTES = 2048
"""What is kept free for each answer to come. AnswerTooLarge with the longest id, every character escaped, takes 1,900 bytes."""


class Reply:
    """Takes an answer, or None, for each part of a message; after the last one it sends what must be sent.

    The answers of a batch stand in the order in which they came. One that would make the array longer than a line is replaced by
    AnswerTooLarge, so that every request is answered and no line is above 1 MiB.
    """

    def __init__(self, parts: int, *, is_batch: bool, send: Callable[[bytes], None]) -> None:
        self._missing, self._is_batch, self._send = parts, is_batch, send
        self._answers: list[bytes] = []
        self._size_bytes = 2  # the brackets

    def add(self, id_: Id, answer: bytes | None) -> None:
        """One part is done. None: it was a notification, or nobody is there any more."""
        self._missing -= 1
        if answer is not None:
            self._keep(id_, answer)
        if not self._missing and self._answers:
            self._send(b"[" + b",".join(self._answers) + b"]" if self._is_batch else self._answers[0])

    def _keep(self, id_: Id, answer: bytes) -> None:
        free_bytes = LINE_MOST_BYTES - self._size_bytes - ERROR_MOST_BYTES * self._missing
        if len(answer) + 1 > free_bytes and self._is_batch:
            answer = error_line(id_, AnswerTooLarge(hint="its part of the batch's answer no longer fits: ask for it alone"))
        self._answers.append(answer)
        self._size_bytes += len(answer) + 1
