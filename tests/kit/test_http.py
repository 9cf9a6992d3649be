"""The bounded HTTP client, against a real server with faults."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forged.kit.http import Answer, HttpClient, HttpFailure, place
from tests.support.http_server import (
    Close,
    CutInTheMiddle,
    Drip,
    Endless,
    EndlessHeaders,
    Hang,
    HttpServer,
    NoHttp,
    Redirect,
    Reply,
    http_server,
)

MOST_BYTES = 100_000


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with http_server(lambda _: Reply(200, b"hello", {"X-Word": "there"})) as running:
        yield running


@pytest.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[HttpClient]:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    made = HttpClient("forged/test", deadline_s=60, most_bytes=MOST_BYTES)
    yield made
    await made.aclose()  # what it left open would be a ResourceWarning, which is an error here


async def test_an_answer_comes_whole(server: HttpServer, client: HttpClient) -> None:
    answer = await client.ask("POST", f"{server.url}/a?b=c", headers={"X-Ours": "yes"}, content=b"body")
    assert (answer.status, answer.body, answer.headers["x-word"], answer.succeeded) == (200, b"hello", "there", True)
    [request] = server.requests
    assert (request.method, request.target, request.body) == ("POST", "/a?b=c", b"body")
    assert (request.headers["user-agent"], request.headers["x-ours"]) == ("forged/test", "yes")
    assert request.headers["accept-encoding"] == "identity"


async def test_a_connection_serves_again(server: HttpServer, client: HttpClient) -> None:
    for _ in range(3):
        assert (await client.ask("GET", server.url)).status == 200
    await client.aclose()
    assert (await client.ask("GET", server.url)).status == 200


@pytest.mark.parametrize("status", [204, 301, 400, 404, 429, 500, 503])
async def test_any_status_is_an_answer(status: int, server: HttpServer, client: HttpClient) -> None:
    server.answer = lambda _: Reply(status)
    answer = await client.ask("GET", server.url)
    assert (answer.status, answer.succeeded) == (status, status == 204)


async def test_a_redirect_is_not_followed(server: HttpServer, client: HttpClient) -> None:
    server.answer = lambda _: Redirect(f"{server.url}/elsewhere")
    assert (await client.ask("GET", server.url)).redirects
    assert len(server.requests) == 1


async def test_cookies_are_not_kept(server: HttpServer, client: HttpClient) -> None:
    server.answer = lambda _: Reply(200, b"", {"Set-Cookie": "session=1"})
    await client.ask("GET", server.url)
    await client.ask("GET", server.url)
    assert "cookie" not in server.requests[1].headers


@pytest.mark.parametrize("fault", [Hang(), Drip()], ids=["silence", "a drip"])
async def test_the_deadline_holds(fault: Reply, server: HttpServer) -> None:
    server.answer = lambda _: fault
    hasty = HttpClient("forged/test", deadline_s=1.5, most_bytes=MOST_BYTES)
    with pytest.raises(HttpFailure, match=r"within 1\.5 s"):
        await hasty.ask("GET", server.url)
    await hasty.aclose()


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Endless(), "larger than"),
        (Reply(200, b"x" * (MOST_BYTES + 1)), "larger than"),
        (EndlessHeaders(), "no HTTP"),
        (CutInTheMiddle(200, b"x" * 1000), "ended before"),
        (Close(), "ended before"),
        (NoHttp(), "no HTTP"),
        (Reply(200, b"\x1f\x8b", {"Content-Encoding": "gzip"}), "compressed"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Reply) else "",
)
async def test_no_whole_answer_is_a_failure(fault: Reply, told: str, server: HttpServer, client: HttpClient) -> None:
    server.answer = lambda _: fault
    with pytest.raises(HttpFailure, match=told):
        await client.ask("GET", server.url)
    server.answer = lambda _: Reply(200, b"again")
    assert (await client.ask("GET", server.url)).body == b"again"


async def test_a_server_that_hangs_in_the_handshake_costs_no_socket() -> None:
    hasty = HttpClient("forged/test", deadline_s=0.3, most_bytes=MOST_BYTES)
    async with http_server(lambda _: Hang()) as server:
        with pytest.raises(HttpFailure, match="no connection: nobody answers"):
            await hasty.ask("GET", server.url.replace("http:", "https:"))
    await hasty.aclose()


async def test_nobody_there_is_a_failure(client: HttpClient) -> None:
    async with http_server(lambda _: Reply()) as gone:
        url = gone.url
    with pytest.raises(HttpFailure, match="no connection"):
        await client.ask("GET", url)
    with pytest.raises(HttpFailure, match="no connection"):
        await client.ask("GET", url.replace("http:", "https:"))
    with pytest.raises(HttpFailure, match="no connection"):
        await client.ask("GET", "http://no-such-host.invalid/")


@pytest.mark.parametrize(
    "url", ["http://[::1/", "ftp://host/", "//", "http://", "http://h:99999/", "http://\x00/", "http://ä" + "ö" * 80]
)
async def test_an_address_that_is_none_is_a_failure(url: str, client: HttpClient) -> None:
    with pytest.raises(HttpFailure):
        await client.ask("GET", url)


async def test_a_failure_does_not_tell_the_address(server: HttpServer, client: HttpClient) -> None:
    for url in (f"{server.url}/hush?t=hush", "http://hush:hush@no-such-host.invalid/hush", "ftp://h/hush", "http://[hush"):
        server.answer = lambda _: Close()
        with pytest.raises(HttpFailure) as failure:
            await client.ask("GET", url, headers={"X-Key": "hush"})
        assert "hush" not in repr(failure.value)
        assert failure.value.__cause__ is None


async def test_what_is_asked_is_in_no_log(server: HttpServer, client: HttpClient, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        await client.ask("GET", f"{server.url}/hush", headers={"X-Key": "hush"})
    assert "hush" not in caplog.text


async def test_the_proxy_of_the_environment_is_used(
    server: HttpServer, client: HttpClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.url)
    assert (await client.ask("GET", "http://somewhere.invalid/x")).body == b"hello"
    assert server.requests[0].target == "http://somewhere.invalid/x"


@pytest.mark.parametrize("proxy", ["gopher://proxy:1", "nonsense://"])
async def test_a_proxy_that_is_none_is_told(proxy: str, client: HttpClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)
    with pytest.raises(HttpFailure, match="proxy"):
        await client.ask("GET", "http://somewhere.invalid/x")


@pytest.mark.parametrize(
    ("header", "wait_s"),
    [
        ("12", 12.0),
        ("0", 0.0),
        ("999999999999999999999", 3600.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2023 22:00:00 GMT", 0.0),
        ("Tue, 14 Nov 2099 22:00:00 GMT", 3600.0),
        ("soon", None),
        ("-5", None),
        ("1e9", None),
        ("", None),
    ],
)
def test_retry_after(header: str, wait_s: float | None) -> None:
    assert Answer(429, {"retry-after": header}, b"").retry_after_s(1_700_000_000_000_000_000) == wait_s
    assert Answer(429, {}, b"").retry_after_s(0) is None


def test_what_the_other_side_says_is_made_fit_for_a_message() -> None:
    assert Answer(500, {}, b"  too\x1b[31m bad\r\n\tindeed ").said() == r"too\x1b[31m bad indeed"
    assert Answer(500, {}, b"<html>...").said() == "a page of HTML"
    assert Answer(500, {}, b"no such key abc123 here").said(without="abc123") == "no such key *** here"
    assert len(Answer(500, {}, b"x" * 10_000_000).said()) < 400
    assert "abc" not in Answer(500, {}, b" " * 1196 + b"abc123" * 2).said(without="abc123")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:hush@ntfy.sh/hush?t=hush#hush", "https://ntfy.sh"),
        ("http://[::1]:8080/x", "http://[::1]:8080"),
        ("http://h:99999/", "an address that is none"),
        ("http://[::1/", "an address that is none"),
    ],
)
def test_a_place_is_shown_without_secrets(url: str, shown: str) -> None:
    assert place(url) == shown


async def test_a_certificate_that_nobody_vouches_for_is_refused(client: HttpClient, tmp_path: Path) -> None:
    key, cert = tmp_path / "key", tmp_path / "cert"
    made = await asyncio.create_subprocess_exec(
        *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"),
        *("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)),
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await made.wait() == 0
    async with http_server(lambda _: Reply(200, b"hello"), certificate=(cert, key)) as server:
        with pytest.raises(HttpFailure, match="certificate"):
            await client.ask("GET", server.url)
        assert server.requests == []
        with pytest.MonkeyPatch.context() as patch:  # as an owner of a certificate authority of his own does it
            patch.setenv("SSL_CERT_FILE", str(cert))
            await client.aclose()
            assert (await client.ask("GET", server.url)).body == b"hello"
