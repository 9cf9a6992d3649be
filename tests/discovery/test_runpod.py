"""RunPod: the contract, and what is its own: direct SSH or none, v1 as a fallback, its errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forged.discovery.runpod import Runpod
from forged.model.boxes import BoxState
from forged.model.errors import DiscoveryError, DiscoveryRefused, DiscoveryThrottled
from tests.discovery.contract import DiscoveryContract
from tests.discovery.desks import KEY, box
from tests.discovery.runpod_api import RunpodDesk, direct, pod, pod_v1
from tests.support.http_server import Close, Hang, Html, HttpServer, Json, Redirect, Reply, http_server

GONE = Json({"title": "Not Found", "status": 404, "detail": "resource not found"}, 404)


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with http_server(lambda _: Reply(500)) as running:
        yield running


@pytest.fixture
def desk(server: HttpServer, tmp_path: Path) -> RunpodDesk:
    return RunpodDesk(server, tmp_path)


@pytest.fixture
async def discovery(desk: RunpodDesk) -> AsyncIterator[Runpod]:
    made = desk.discovery()
    yield made
    await made.aclose()


class TestRunpod(DiscoveryContract):
    """The contract."""


def v1(desk: RunpodDesk, *replies: Reply, v2: Reply = GONE) -> None:
    """v2 answers so, and v1 these, the last one for ever."""
    left = list(replies)
    desk.server.answer = lambda request: v2 if request.target.startswith("/v2") else left.pop(0) if len(left) > 1 else left[0]


PROXY = {"host": "ssh.runpod.io", "port": 22, "username": "x-1", "command": "ssh x-1@ssh.runpod.io"}
NO_DIRECT = {"proxy": PROXY, "direct": None}


def mapped(private: int, type: str, ip: str | None = "195.26.233.3", public: int | None = 34446) -> dict[str, object]:
    return {"private": private, "public": public, "type": type, "ip": ip}


@pytest.mark.parametrize(
    ("changed", "state", "address", "why"),
    [
        ({}, BoxState.RUNNING, "ssh://root@195.26.233.3:34446", ""),
        ({"ssh": {"direct": {**direct("a.b", 22), "username": "user"}}}, BoxState.RUNNING, "ssh://user@a.b:22", ""),
        ({"ssh": {"direct": {"host": "a.b", "port": 22, "username": None}}}, BoxState.RUNNING, "ssh://root@a.b:22", ""),
        (
            {"ssh": None, "runtime": {"ports": [mapped(8888, "http"), mapped(22, "tcp")]}},
            BoxState.RUNNING,
            "ssh://root@195.26.233.3:34446",
            "",
        ),
        ({"ssh": NO_DIRECT, "runtime": None}, BoxState.STARTING, None, "no address for SSH yet"),
        ({"ssh": NO_DIRECT, "runtime": {"ports": None}}, BoxState.STARTING, None, "no address for SSH yet"),
        ({"ssh": NO_DIRECT, "runtime": {"ports": [mapped(22, "http")]}}, BoxState.STARTING, None, "no address for SSH yet"),
        (
            {"ssh": NO_DIRECT, "runtime": {"ports": [mapped(22, "tcp", None), mapped(22, "tcp", public=None)]}},
            BoxState.STARTING,
            None,
            "yet",
        ),
        ({"ssh": NO_DIRECT, "runtime": None, "ports": None}, BoxState.STARTING, None, "no address for SSH yet"),
        ({"ssh": NO_DIRECT, "ports": ["8888/http"]}, BoxState.RUNNING, None, "expose 22/tcp and install sshd"),
        ({"status": "EXITED", "runtime": None}, BoxState.STOPPED, None, "stopped"),
        ({"status": "STARTING"}, BoxState.STARTING, None, "yet"),
        ({"status": "ERROR", "ssh": NO_DIRECT}, BoxState.UNKNOWN, None, "ERROR"),
        ({"status": "A NEW ONE", "ssh": None}, BoxState.UNKNOWN, None, "A NEW ONE"),
        ({"status": None, "ssh": None}, BoxState.UNKNOWN, None, "no status"),
    ],
)
async def test_direct_ssh_or_the_reason_why_not(
    changed: dict[str, object], state: BoxState, address: str | None, why: str, desk: RunpodDesk, discovery: Runpod
) -> None:
    desk.server.answer = lambda _: Json({"pods": [pod("7h9k2m4n6p", **changed)]})
    [one] = await discovery.boxes()
    assert (one.state, [str(each) for each in one.addresses]) == (state, [address] if address else [])
    assert why in one.why and bool(one.why) is (address is None)


async def test_a_pod_that_was_deleted_is_no_box(desk: RunpodDesk, discovery: Runpod) -> None:
    desk.server.answer = lambda _: Json({"pods": [pod("a", status="TERMINATED"), pod("b")]})
    assert [one.id for one in await discovery.boxes()] == ["b"]


# --- v1 -------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("gone", [GONE, Json({"title": "Gone", "status": 410}, 410), Html(404)], ids=["404", "410", "HTML"])
async def test_v1_is_asked_where_v2_does_not_exist(gone: Reply, desk: RunpodDesk, discovery: Runpod) -> None:
    pods = [
        pod_v1("a"),
        pod_v1("b", portMappings={"22": "10342"}),
        pod_v1("c", publicIp=""),
        pod_v1("d", publicIp=None, portMappings=None),
        pod_v1("e", desiredStatus="EXITED"),
        pod_v1("f", desiredStatus="TERMINATED"),
        pod_v1("g", portMappings={"70": 1}, ports=["8888/http"]),
    ]
    v1(desk, Json(pods), v2=gone)
    boxes = await discovery.boxes()
    assert [(one.id, one.state) for one in boxes] == [
        *[("a", BoxState.RUNNING), ("b", BoxState.RUNNING), ("c", BoxState.STARTING), ("d", BoxState.STARTING)],
        *[("e", BoxState.STOPPED), ("g", BoxState.RUNNING)],
    ]
    assert [str(one.addresses[0]) for one in boxes[:2]] == ["ssh://root@100.65.0.119:10341", "ssh://root@100.65.0.119:10342"]
    assert "expose 22/tcp" in boxes[-1].why
    assert all(request.headers["authorization"] == f"Bearer {KEY}" for request in desk.server.requests)


@pytest.mark.parametrize(
    "trouble",
    [
        Reply(500),
        Reply(502),
        Html(503),
        Html(),
        Reply(200, b""),
        Reply(401),
        Reply(429),
        Close(),
        Redirect("/v1"),
        Json([]),
    ],
    ids=lambda reply: f"{type(reply).__name__} {reply.status}",
)
async def test_v1_is_not_asked_when_v2_is_in_trouble(trouble: Reply, desk: RunpodDesk, discovery: Runpod) -> None:
    v1(desk, Json([]), v2=trouble)
    with pytest.raises(DiscoveryError):
        await discovery.boxes()
    assert [request.target for request in desk.server.requests] == ["/v2/pods"]


async def test_v1_is_not_asked_when_v2_does_not_answer(desk: RunpodDesk) -> None:
    v1(desk, Json([]), v2=Hang())
    discovery = desk.discovery(hasty=True)
    with pytest.raises(DiscoveryError):
        await discovery.boxes()
    assert not [request for request in desk.server.requests if "v1" in request.target]
    await discovery.aclose()


async def test_v1_is_not_believed_once_v2_was_there(desk: RunpodDesk, discovery: Runpod) -> None:
    desk.there.boxes = [box("1")]
    assert len(await discovery.boxes()) == 1
    v1(desk, Json([]))
    with pytest.raises(DiscoveryError, match="404"):
        await discovery.boxes()


@pytest.mark.parametrize("reply", [GONE, Reply(200, b""), Json({"pods": []}), Json({"message": "gone"}, 410), Html(), Reply(500)])
async def test_v1_fails_like_any_other(reply: Reply, desk: RunpodDesk, discovery: Runpod) -> None:
    v1(desk, reply)
    with pytest.raises(DiscoveryError):
        await discovery.boxes()


# --- errors ---------------------------------------------------------------------------------------------------------------


def problem(status: int, title: str, detail: str, headers: dict[str, str] | None = None) -> Reply:
    return Json(
        {"title": title, "status": status, "detail": detail},
        status,
        {"Content-Type": "application/problem+json", **(headers or {})},
    )


@pytest.mark.parametrize(
    ("reply", "error", "told"),
    [
        (problem(401, "Unauthorized", "missing bearer token"), DiscoveryRefused, "missing bearer"),
        (problem(403, "Forbidden", "access denied"), DiscoveryRefused, "access denied"),
        (problem(422, "Unprocessable Entity", "Request validation failed."), DiscoveryError, "422: Request validation failed"),
        (problem(500, "Internal", f"key {KEY} \x1b[31m"), DiscoveryError, r"500: key \*\*\* \\x1b"),
        (Html(403), DiscoveryError, "403"),
    ],
)
async def test_errors_say_what_they_are(
    reply: Reply, error: type[DiscoveryError], told: str, desk: RunpodDesk, discovery: Runpod
) -> None:
    desk.server.answer = lambda _: reply
    with pytest.raises(DiscoveryError, match=told) as raised:
        await discovery.boxes()
    assert type(raised.value) is error


@pytest.mark.parametrize(("headers", "wait_s"), [({"Retry-After": "12", "RateLimit": '"minute";r=0;t=12'}, 12.0), ({}, None)])
async def test_asked_too_often(headers: dict[str, str], wait_s: float | None, desk: RunpodDesk, discovery: Runpod) -> None:
    desk.server.answer = lambda _: problem(429, "Too Many Requests", "rate limit exceeded for the minute window", headers)
    with pytest.raises(DiscoveryThrottled, match="rate limit exceeded") as raised:
        await discovery.boxes()
    assert raised.value.retry_after_s == wait_s
