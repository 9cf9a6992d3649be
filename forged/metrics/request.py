"""Reading one HTTP/1.1 request, as strictly as a page for one program allows (RFC 9112)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import ClassVar

_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]*) HTTP/1\.[01]")
_HEADER_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t -~\x80-\xff]*)")
"""RFC 9110 section 5: a token, a colon, and visible characters, spaces and tabs. A lone CR or NUL is in neither."""


class BadRequest(Exception):
    """This is no request that will be answered. `status` is the answer's status line."""

    def __init__(self, status: str = "400 Bad Request") -> None:
        self.status = status
        super().__init__(status)


@dataclass(frozen=True, slots=True)
class Request:
    """What of a request matters here. `path` is without its query."""

    method: str
    path: str
    accept: str = ""

    MOST_BYTES: ClassVar[int] = 8192
    """For all of its head. Prometheus 2.42 sends 400; RFC 9112 section 3 asks for 8,000 to be understood in the first line."""


async def read_request(reader: asyncio.StreamReader) -> Request:
    """The next request's head; the reader's limit is `Request.MOST_BYTES`. A body is not read, since no method here has one.

    Raises BadRequest, EOFError when the other side left in the middle, OSError when the connection broke.
    """
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.LimitOverrunError:
        raise BadRequest("431 Request Header Fields Too Large") from None
    return parse(head)


def parse(head: bytes) -> Request:
    """A head as a request. Raises BadRequest."""
    first, *lines = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    request, headers = _REQUEST_LINE.fullmatch(first), [_HEADER_LINE.fullmatch(line) for line in lines]
    if request is None or None in headers:
        raise BadRequest
    accepted = [header[2] for header in headers if header is not None and header[1].lower() == b"accept"]
    path = request[2].split(b"?")[0]
    return Request(request[1].decode("ascii"), path.decode("ascii"), b",".join(accepted).decode("latin-1"))
