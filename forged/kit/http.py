"""HTTP out, bounded: one request, one whole answer, or an HttpFailure with words for people that hold no secret.

Whoever is asked may be broken or hostile: the time and the size of every answer are bounded, TLS is verified against the system's
own certificates, redirects are answers like others and are not followed (a key would go along), cookies are not kept, compressed
bodies are refused (a bomb is small on its way). Proxies are as the environment says (HTTPS_PROXY, ALL_PROXY, NO_PROXY).
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from forged.kit.log_lines import clean

LONGEST_WAIT_S = 3600.0
"""What is believed of a Retry-After: a server's slip (or malice) must not silence anything for a year."""

SAID_MOST_CHARS = 300
"""Of what the other side says in an error: a sentence, not its page."""

KEPT_OPEN_S = 30.0
"""How long a connection that nobody uses stays open. Servers close theirs after 60 to 75 s (nginx, AWS), and one that was closed in
the very moment it is used again costs a failed request."""


class HttpFailure(Exception):
    """No whole answer came. The message says why, without address and secrets."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    @property
    def succeeded(self) -> bool:
        return 200 <= self.status < 300

    @property
    def redirects(self) -> bool:
        return 300 <= self.status < 400

    def said(self, *, without: str = "") -> str:
        """What the body says, for people: clean, on one line, cut; `without` (a key that the other side may echo) is taken out.

        Of a page of HTML only that it is one.
        """
        body = self.body.replace(without.encode(), b"***") if without else self.body  # before any cut, or half a key would stay
        text = body.lstrip()[: 4 * SAID_MOST_CHARS].decode("utf-8", "replace")
        return "a page of HTML" if text[:1] == "<" else spoken(text)

    def retry_after_s(self, now_ns: int) -> float | None:
        """The Retry-After header (RFC 9110, 10.2.3: seconds or a date), at most LONGEST_WAIT_S; None: no valid one."""
        text = self.headers.get("retry-after", "").strip()
        if text.isascii() and text.isdigit():
            return min(float(text[:9]), LONGEST_WAIT_S)
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return None
        wait_s = (date if date.tzinfo else date.replace(tzinfo=UTC)).timestamp() - now_ns / 1e9
        return min(max(wait_s, 0.0), LONGEST_WAIT_S)


def spoken(text: str, *, without: str = "") -> str:
    """Words of the other side, fit for a message of ours: without a key that they echo, clean, on one line, cut."""
    if without:
        text = text.replace(without, "***")
    return clean(" ".join(text.split()), SAID_MOST_CHARS)


def place(url: str) -> str:
    """Where a URL leads, to be shown: scheme, host and port. User, path and query may hold tokens."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "an address that is none"
    host = f"[{host}]" if ":" in host else host
    return clean(f"{parts.scheme}://{host}" + (f":{port}" if port else ""), SAID_MOST_CHARS)


class HttpClient:
    """Asks over connections that it keeps for a while. Made anywhere, used on one event loop."""

    def __init__(self, agent: str, *, deadline_s: float, most_bytes: int) -> None:
        """`agent`: who we say we are. `deadline_s`: from the first look-up of a name to the last byte of the answer."""
        self._agent = agent
        self._deadline_s = deadline_s
        self._most_bytes = most_bytes
        self._client: httpx.AsyncClient | None = None

    async def ask(self, method: str, url: str, *, headers: Mapping[str, str] | None = None, content: bytes | None = None) -> Answer:
        """One request. Any status is an answer. Raises HttpFailure."""
        try:
            async with asyncio.timeout(self._deadline_s), self._stream(method, url, headers or {}, content) as response:
                return Answer(response.status_code, dict(response.headers), await self._body(response))
        except TimeoutError:
            raise HttpFailure(f"no whole answer within {self._deadline_s:g} s") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, ssl.SSLError, OSError) as error:
            raise HttpFailure(_why(error)) from None  # the error's own text and chain may hold the address, or a header

    @asynccontextmanager
    async def _stream(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None
    ) -> AsyncGenerator[httpx.Response, None]:
        if self._client is None:
            self._client = _client(self._deadline_s)
        everywhere = {"User-Agent": self._agent, "Accept-Encoding": "identity"}
        async with self._client.stream(method, url, headers={**everywhere, **headers}, content=content) as response:
            yield response

    async def _body(self, response: httpx.Response) -> bytes:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("", "identity"):
            raise HttpFailure("the answer is compressed, though that was not asked for")
        body = bytearray()
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > self._most_bytes:
                raise HttpFailure(f"the answer is larger than {self._most_bytes:,} bytes")
        return bytes(body)

    async def aclose(self) -> None:
        """Closes its connections. One that is asked again opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()


def _client(deadline_s: float) -> httpx.AsyncClient:
    """Raises HttpFailure when the environment names a proxy that is none."""
    for library in ("httpx", "httpcore"):
        logging.getLogger(library).setLevel(logging.WARNING)  # below it they log whole addresses and headers
    try:
        return httpx.AsyncClient(
            verify=_trust(),
            follow_redirects=False,
            # `ask` bounds the whole. But a TLS handshake that is cancelled leaves its socket to Python's collector (httpx 0.28).
            timeout=httpx.Timeout(None, connect=deadline_s / 3),
            limits=httpx.Limits(max_connections=8, max_keepalive_connections=2, keepalive_expiry=KEPT_OPEN_S),
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
        )
    except (ValueError, httpx.InvalidURL, ImportError):
        raise HttpFailure("the proxy that the environment names is none: check HTTPS_PROXY, HTTP_PROXY and ALL_PROXY") from None


def _trust() -> ssl.SSLContext:
    """The system's certificates, to which an owner may have added his own; httpx's where a system has none (slim containers)."""
    known = ssl.get_default_verify_paths()
    if known.cafile or (known.capath and any(Path(known.capath).iterdir())):
        return ssl.create_default_context()
    return httpx.create_ssl_context()


def _why(error: Exception) -> str:
    """In our words, by the kind of error. What the system says of a connection or a certificate holds no secret, and helps."""
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection: nobody answers"
    if isinstance(error, httpx.ProxyError):
        return f"the proxy refused: {clean(str(error), SAID_MOST_CHARS)}"
    if isinstance(error, httpx.ConnectError | ssl.SSLError | OSError):
        return f"no connection: {clean(str(error), SAID_MOST_CHARS) or 'refused'}"
    if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError | httpx.WriteError | httpx.CloseError):
        return "the connection ended before the answer did, or what came is no HTTP"
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return "the address is none"
    return f"the request failed ({type(error).__name__})"
