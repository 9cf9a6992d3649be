"""Asking a provider's API: the key goes along, and every way of not answering becomes a DiscoveryError with advice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlencode, urlsplit

import msgspec

from forged import __version__
from forged.discovery.keys import ApiKey, read_key
from forged.kit.clock import Clock
from forged.kit.http import Answer, HttpClient, HttpFailure, place, spoken
from forged.model.errors import DiscoveryError, DiscoveryRefused, DiscoveryThrottled
from forged.model.settings import Secret

NEWER = "install a newer forged, which knows the next one; boxes that are known already go on being synced"

_NEAR = ("localhost", "127.0.0.1", "::1")


class Complaint(msgspec.Struct):
    """How the providers word an error.

    vast.ai: {success, error, msg}, sometimes `message` (docs.vast.ai, rate limits and errors); RunPod v2: RFC 9457's `title` and
    `detail`, v1: `message` (docs.runpod.io, migrate from v1).
    """

    error: object = None
    msg: object = None
    message: object = None
    title: object = None
    detail: object = None

    @property
    def words(self) -> str:
        parts = (self.msg, self.detail, self.message, self.error, self.title)
        return next((part for part in parts if isinstance(part, str) and part), "")


class Provider:
    """One provider's API. Made for one account; `name` is what people call it."""

    def __init__(self, name: str, key: Secret, clock: Clock, *, call_s: float, question_s: float, most_bytes: int) -> None:
        """`call_s`: the deadline of one call; `question_s`: of all calls of one question together."""
        self.name = name
        self.clock = clock
        self.warnings: tuple[str, ...] = ()
        self._key = key
        self._question_s = question_s
        self._client = HttpClient(f"forged/{__version__}", deadline_s=call_s, most_bytes=most_bytes)

    @asynccontextmanager
    async def question(self) -> AsyncGenerator[Asking, None]:
        """Reads the key anew. Raises ApiKeyUnusable, and DiscoveryError when it takes too long in all."""
        key = await read_key(self._key)
        self.warnings = key.warnings
        try:
            async with asyncio.timeout(self._question_s):
                yield Asking(self, self._client, key)
        except TimeoutError:
            raise DiscoveryError(f"{self.name} does not answer within {self._question_s:g} s") from None

    async def aclose(self) -> None:
        await self._client.aclose()


class Asking:
    """One question: one or several calls with the same key."""

    def __init__(self, provider: Provider, client: HttpClient, key: ApiKey) -> None:
        self._provider = provider
        self._client = client
        self._key = key

    async def get(self, url: str, query: Mapping[str, str] | None = None) -> Answer:
        """Whatever it answers. Raises DiscoveryError when no whole answer comes."""
        if not _is_private(url):
            raise DiscoveryError(f"{place(url)} is not asked: without https everybody on the way could read the API key")
        headers = {"Authorization": f"Bearer {self._key.text}", "Accept": "application/json"}
        try:
            return await self._client.ask("GET", f"{url}?{urlencode(query)}" if query else url, headers=headers)
        except HttpFailure as failure:
            raise DiscoveryError(f"{self._provider.name} does not answer: {failure}") from None

    def check(self, answer: Answer) -> bytes:
        """The body of a success. Raises what else it is."""
        if answer.status == 200:
            return answer.body
        raise self._error(answer)

    def _error(self, answer: Answer) -> DiscoveryError:
        name, status, said = self._provider.name, answer.status, self.said(answer)
        if status == 429:
            wait_s = answer.retry_after_s(self._provider.clock.now_ns())
            return DiscoveryThrottled(f"{name} wants to be asked less often{said}", retry_after_s=wait_s)
        if self._refuses_key(answer):
            return DiscoveryRefused(f"{name} refuses the API key{said}")
        if answer.redirects:
            return DiscoveryError(f"{name} sends us elsewhere ({status}), where the API key does not go")
        if status == 410:
            return DiscoveryError(f"{name} has withdrawn this API (410){said}", hint=NEWER)
        return DiscoveryError(f"{name} answers {status}{said}")

    def _refuses_key(self, answer: Answer) -> bool:
        """vast.ai was seen to answer 404 to a wrong key, with `auth_error` in the body. A 403 that is no JSON is a firewall's."""
        complaint = _complaint(answer)
        if answer.status == 403:
            return complaint is not None
        return answer.status == 401 or (complaint is not None and complaint.error == "auth_error")

    def said(self, answer: Answer) -> str:
        """`: its words`, or nothing; without the key, which some echo."""
        complaint = _complaint(answer)
        words = spoken(complaint.words, without=self._key.text) if complaint else answer.said(without=self._key.text)
        return f": {words}" if words else ""


def _is_private(url: str) -> bool:
    """Whether nobody on the way can read along."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme == "https" or parts.hostname in _NEAR


def _complaint(answer: Answer) -> Complaint | None:
    try:
        return msgspec.json.decode(answer.body, type=Complaint)
    except (msgspec.DecodeError, RecursionError):
        return None
