"""The webhook, against a real server: what goes out, what counts as taken, and what does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forged.ingest.webhook import Webhook, signature
from forged.kit.clock import HandClock
from forged.model.errors import IngestError, IngestRefused
from forged.model.settings import Secret, WebhookFormat, WebhookIngest
from tests.ingest.happened import event, lost
from tests.support.http_server import (
    Close,
    CutInTheMiddle,
    Drip,
    Endless,
    Hang,
    Html,
    HttpServer,
    NoHttp,
    Redirect,
    Reply,
    http_server,
)


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with http_server(lambda _: Reply(200, b"ok")) as running:
        yield running


@pytest.fixture
async def made() -> AsyncIterator[list[Webhook]]:
    hooks: list[Webhook] = []
    yield hooks
    for hook in hooks:
        await hook.aclose()


@pytest.fixture
def hook(server: HttpServer, made: list[Webhook]) -> Webhook:
    made.append(Webhook("notify", WebhookIngest(Secret(f"{server.url}/hush?token=hush"), timeout_s=30.0), HandClock()))
    return made[0]


def of(server: HttpServer, made: list[Webhook], path: str, format: WebhookFormat, secret: Secret | None = None) -> Webhook:
    made.append(Webhook("notify", WebhookIngest(Secret(server.url + path), secret, 30.0, format), HandClock()))
    return made[-1]


async def test_a_batch_is_one_post(server: HttpServer, hook: Webhook) -> None:
    await hook.deliver([event(7), lost(8)])
    [request] = server.requests
    assert (request.method, request.target, request.headers["content-type"]) == ("POST", "/hush?token=hush", "application/json")
    assert [one["id"] for one in json.loads(request.body)["events"]] == [7, 8]
    assert request.headers["user-agent"].startswith("forged/")
    assert "webhook-signature" not in request.headers


async def test_nothing_is_no_post(server: HttpServer, hook: Webhook) -> None:
    await hook.deliver([])
    assert server.requests == []


@pytest.mark.parametrize(
    ("path", "target", "topic"),
    [("/media", "/", "media"), ("/media/", "/", "media"), ("/below/it/me%20dia?auth=x", "/below/it/?auth=x", "me dia")],
)
async def test_ntfy_is_asked_at_its_root(path: str, target: str, topic: str, server: HttpServer, made: list[Webhook]) -> None:
    await of(server, made, path, WebhookFormat.NTFY).deliver([lost()])
    [request] = server.requests
    assert (request.target, json.loads(request.body)["topic"]) == (target, topic)


async def test_ntfy_without_a_topic_is_a_mistake(server: HttpServer, made: list[Webhook]) -> None:
    with pytest.raises(IngestRefused, match="no topic"):
        await of(server, made, "/", WebhookFormat.NTFY).deliver([lost()])
    assert server.requests == []


@pytest.mark.parametrize("format", WebhookFormat)
async def test_an_address_that_is_none_is_told(format: WebhookFormat, made: list[Webhook]) -> None:
    for url in ("https://[::1/hush", "https://h:99999/hush", "hush"):
        made.append(Webhook("notify", WebhookIngest(Secret(url), format=format)))
        with pytest.raises(IngestError) as error:
            await made[-1].deliver([event()])
        assert "hush" not in error.value.message


async def test_slack_gets_a_text(server: HttpServer, made: list[Webhook]) -> None:
    await of(server, made, "/services/T0/B0/x", WebhookFormat.SLACK).deliver([lost()])
    assert server.requests[0].target == "/services/T0/B0/x"
    assert set(json.loads(server.requests[0].body)) == {"text"}


async def test_a_signed_request_can_be_checked(server: HttpServer, made: list[Webhook], tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("the secret\n")
    hook = of(server, made, "/", WebhookFormat.JSON, Secret(file=file))
    await hook.deliver([event(7), event(9)])
    await hook.deliver([event(7), event(9)])
    first, again = server.requests
    signed = f"notify-7-9.1700000000.{first.body.decode()}".encode()
    digest = base64.b64encode(hmac.new(b"the secret", signed, hashlib.sha256).digest()).decode()
    assert first.headers["webhook-signature"] == f"v1,{digest}"
    assert (first.headers["webhook-id"], first.headers["webhook-timestamp"]) == ("notify-7-9", "1700000000")
    assert again.headers["webhook-id"] == first.headers["webhook-id"]


def test_the_signature_is_that_of_the_specification() -> None:
    """The example that the libraries of Standard Webhooks test themselves with."""
    secret, body = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b'{"test": 2432232314}'
    made = signature(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body)
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_a_secret_that_is_none_is_told_without_it(server: HttpServer, made: list[Webhook], tmp_path: Path) -> None:
    file = tmp_path / "secret"
    hook = of(server, made, "/", WebhookFormat.JSON, Secret(file=file))
    with pytest.raises(IngestError, match="cannot be read"):
        await hook.deliver([event()])
    file.write_text("whsec_no base64!")
    with pytest.raises(IngestRefused, match="whsec_") as error:
        await hook.deliver([event()])
    assert "base64!" not in str(error.value)
    assert server.requests == []


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_a_2xx_means_taken(status: int, server: HttpServer, hook: Webhook) -> None:
    server.answer = lambda _: Reply(status, b"" if status == 204 else b"ok")
    await hook.deliver([event()])


@pytest.mark.parametrize(
    ("reply", "transient"),
    [
        *[(Reply(status, b"Oops, hush"), True) for status in (500, 502, 503, 504, 429, 408, 425)],
        *[(Reply(status, b"Oops, hush"), False) for status in (400, 401, 403, 404, 410, 413)],
        (Html(403), False),
        (Redirect("https://elsewhere.invalid/hush"), False),
        *[(fault, True) for fault in (Hang(), Drip(), Endless(), Close(), CutInTheMiddle(200, b"x" * 100), NoHttp())],
    ],
    ids=lambda value: f"{type(value).__name__} {value.status}" if isinstance(value, Reply) else "",
)
async def test_everything_else_means_not_taken(reply: Reply, transient: bool, server: HttpServer, made: list[Webhook]) -> None:
    server.answer = lambda _: reply
    made.append(
        Webhook("notify", WebhookIngest(Secret(f"{server.url}/hush"), timeout_s=0.6 if isinstance(reply, Hang | Drip) else 30.0))
    )
    with pytest.raises(IngestError) as error:
        await made[0].deliver([event()])
    assert error.value.transient is transient
    assert server.url in error.value.message
    assert "hush" not in repr(error.value) + error.value.hint
    assert ("the log of what answers there" in error.value.hint) is (isinstance(reply, Reply) and reply.status >= 500)
    assert error.value.__cause__ is None
    assert len(server.requests) <= 1


async def test_nobody_there_is_not_taken(made: list[Webhook]) -> None:
    async with http_server(lambda _: Reply()) as server:
        url = server.url
    made.append(Webhook("notify", WebhookIngest(Secret(f"{url}/hush"))))
    with pytest.raises(IngestError, match="no connection") as error:
        await made[0].deliver([event()])
    assert error.value.transient


def test_a_webhook_shows_no_secret(hook: Webhook) -> None:
    assert "hush" not in repr(hook)
    assert "hush" not in repr(hook.__dict__)
