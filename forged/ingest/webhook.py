"""Events by HTTP POST, all that come together in one request: a receiver takes all of them or none.

With a secret each request is signed as Standard Webhooks 1.0 (standardwebhooks.com) says, so that its libraries can check it:
`webhook-id` (the same when these events come again), `webhook-timestamp` (seconds since the epoch) and `webhook-signature`: `v1,`
and the base64 of HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`. The secret is the text of its file; where that begins
with `whsec_`, base64 follows.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from urllib.parse import unquote, urlsplit, urlunsplit

from forged import __version__
from forged.config.secrets import reveal
from forged.ingest.base import BATCH
from forged.ingest.bodies import json_body, ntfy_body, slack_body
from forged.kit.clock import Clock, SystemClock
from forged.kit.http import Answer, HttpClient, HttpFailure, place
from forged.model.errors import ConfigError, IngestError, IngestRefused
from forged.model.events import Event
from forged.model.settings import Secret, WebhookFormat, WebhookIngest

ANSWER_MOST_BYTES = 65_536
"""Nobody reads it; of a failure its first words are told."""

OF_THE_BODY = frozenset({400, 413, 422})
"""Refusals of what was sent (RFC 9110): other events may be taken, or fewer at a time."""

LATER = frozenset({408, 425, 429})
"""Refusals that pass by themselves (RFC 9110, 8470, 6585). The other 4xx do not."""


class Webhook:
    """A Handler. Its address and its secret are read anew for each request."""

    batch = BATCH

    def __init__(self, name: str, settings: WebhookIngest, clock: Clock | None = None) -> None:
        self.name = name
        self._settings = settings
        self._clock = clock or SystemClock()
        self._client = HttpClient(f"forged/{__version__}", deadline_s=settings.timeout_s, most_bytes=ANSWER_MOST_BYTES)

    async def deliver(self, events: Sequence[Event]) -> None:
        """Only a 2xx means that they were taken. Raises IngestError."""
        if not events:
            return
        url = await _revealed(self._settings.url)
        target, body = self._made(url, events)
        headers = {"Content-Type": "application/json", **await self._signature(events, body)}
        try:
            answer = await self._client.ask("POST", target, headers=headers, content=body)
        except HttpFailure as failure:
            raise IngestError(f"{place(url)}: {failure}") from None
        if not answer.succeeded:
            raise _refusal(url, answer, events)

    async def try_out(self) -> str:
        """Asks for the headers of the address alone (HEAD): whatever it answers, somebody is there. The secret is tried as well."""
        url = await _revealed(self._settings.url)
        if self._settings.secret is not None:
            _key(await _revealed(self._settings.secret))
        asked = _ntfy_topic(url)[0] if self._settings.format is WebhookFormat.NTFY else url
        try:
            answer = await self._client.ask("HEAD", asked)
        except HttpFailure as failure:
            raise IngestError(f"{place(url)}: {failure}", hint="check url, the name's address and the way there") from None
        return f"{place(url)} answers (no event was sent; HEAD: {answer.status})"

    def _made(self, url: str, events: Sequence[Event]) -> tuple[str, bytes]:
        match self._settings.format:
            case WebhookFormat.NTFY:
                root, topic = _ntfy_topic(url)
                return root, ntfy_body(topic, events)
            case WebhookFormat.SLACK:
                return url, slack_body(events)
            case WebhookFormat.JSON:
                return url, json_body(events)

    async def _signature(self, events: Sequence[Event], body: bytes) -> dict[str, str]:
        if self._settings.secret is None:
            return {}
        secret = await _revealed(self._settings.secret)
        id, timestamp = f"{self.name}-{events[0].id}-{events[-1].id}", str(self._clock.now_ns() // 1_000_000_000)
        return {"webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": signature(secret, id, timestamp, body)}

    async def aclose(self) -> None:
        await self._client.aclose()


def signature(secret: str, id: str, timestamp: str, body: bytes) -> str:
    """The value of `webhook-signature`."""
    digest = hmac.digest(_key(secret), f"{id}.{timestamp}.".encode() + body, hashlib.sha256)
    return f"v1,{base64.b64encode(digest).decode()}"


def _key(secret: str) -> bytes:
    if secret.startswith("whsec_"):
        try:
            return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            raise IngestRefused("the secret begins with whsec_, and what follows is no base64: was it copied whole?") from None
    return secret.encode()


def _ntfy_topic(url: str) -> tuple[str, str]:
    """ntfy takes JSON at its root, with the topic inside. Raises IngestRefused when the address names none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        raise IngestRefused(f"{place(url)}: check url") from None
    root, _, topic = parts.path.rstrip("/").rpartition("/")
    if not topic:
        raise IngestRefused(f"{place(url)}: the address has no topic: https://ntfy.sh/TOPIC is needed")
    return urlunsplit((parts.scheme, parts.netloc, f"{root}/", parts.query, "")), unquote(topic)


async def _revealed(secret: Secret) -> str:
    try:
        text = await asyncio.to_thread(reveal, secret)
    except ConfigError as error:
        raise IngestError(error.message, hint="it is read again for each request") from None
    return text


def _refusal(url: str, answer: Answer, events: Sequence[Event]) -> IngestError:
    said = answer.said(without=urlsplit(url).path.strip("/"))
    message = f"{place(url)} answers {answer.status}{f': {said}' if said else ''}"
    if answer.redirects:
        return IngestRefused(f"{message}; redirects are not followed: put the address it leads to into url")
    if 400 <= answer.status < 500 and answer.status not in LATER:
        return IngestRefused(message, about=[event.id for event in events] if answer.status in OF_THE_BODY else ())
    if answer.status >= 500:
        return IngestError(message, hint=f"the log of what answers there says why; {IngestError.default_hint}")
    return IngestError(message)
