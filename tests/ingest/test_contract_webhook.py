"""The webhook, held to the contract; the other side is a real HTTP server."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from forged.ingest.webhook import Webhook
from forged.model.settings import Secret, WebhookIngest
from tests.ingest.contract import HandlerContract
from tests.support.http_server import Hang, HttpServer, NoHttp, Reply, http_server


class HttpReceiver:
    """Takes what it answers 200 to."""

    idempotent = False

    def __init__(self, server: HttpServer) -> None:
        self.server = server
        self.handler = Webhook("notify", WebhookIngest(Secret(server.url), timeout_s=6.0))
        self.refused = 0
        self._well = True
        self._before = 0
        self._kept: list[str] = []

    async def taken(self) -> list[str]:
        self._note()
        return self._kept

    def _note(self) -> None:
        new, self._before = self.server.requests[self._before :], len(self.server.requests)
        if self._well:
            bodies = [json.loads(one.body) for one in new if one.method == "POST"]
            self._kept += [one["key"] for body in bodies for one in body["events"] if one["kind"].startswith("file_")]

    def _becomes(self, reply: Reply | Hang | NoHttp) -> None:
        self._note()
        self._well = isinstance(reply, Reply) and reply.status == 200
        self.server.answer = lambda asked: Reply(200) if asked.method == "HEAD" else reply

    async def fails(self) -> None:
        self._becomes(Reply(500, b"Oops"))

    async def hangs(self) -> None:
        self._becomes(Hang())

    async def lies(self) -> None:
        self._becomes(NoHttp())

    async def heals(self) -> None:
        self._becomes(Reply(200, b"ok"))


class TestWebhook(HandlerContract):
    @pytest.fixture
    async def receiver(self) -> AsyncIterator[HttpReceiver]:
        async with http_server(lambda asked: Reply(200, b"" if asked.method == "HEAD" else b"ok")) as server:
            receiver = HttpReceiver(server)
            yield receiver
            await receiver.handler.aclose()
