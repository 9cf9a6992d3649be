"""vast.ai: the contract, and what is its own: paging, the proxy, the states, its errors."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from forged.discovery.vastai import Vastai
from forged.kit.clock import HandClock
from forged.model.boxes import BoxState
from forged.model.errors import ApiKeyUnusable, DiscoveryError, DiscoveryRefused, DiscoveryThrottled
from forged.model.settings import Secret
from tests.discovery.contract import DiscoveryContract, states
from tests.discovery.desks import KEY, box
from tests.discovery.vast_api import VastDesk, instance
from tests.support.http_server import (
    Close,
    CutInTheMiddle,
    CutUnnoticed,
    Drip,
    Html,
    HttpServer,
    Json,
    Redirect,
    Reply,
    http_server,
)


@pytest.fixture
async def server() -> AsyncIterator[HttpServer]:
    async with http_server(lambda _: Reply(500)) as running:
        yield running


@pytest.fixture
def desk(server: HttpServer, tmp_path: Path) -> VastDesk:
    return VastDesk(server, tmp_path)


@pytest.fixture
async def discovery(desk: VastDesk) -> AsyncIterator[Vastai]:
    made = desk.discovery()
    yield made
    await made.aclose()


class TestVastai(DiscoveryContract):
    """The contract."""


def answer(desk: VastDesk, *instances: dict[str, object], **changed: object) -> None:
    """One page with these."""
    whole = {"success": True, "instances_found": len(instances), "total_instances": len(instances), "next_token": None}
    desk.server.answer = lambda _: Json({**whole, "instances": list(instances), **changed})


# --- addresses and states -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "addresses"),
    [
        ({}, ["ssh://root@192.0.2.45:20000"]),
        ({"ssh_host": "ssh5.vast.ai ", "ssh_port": 10600}, ["ssh://root@192.0.2.45:20000", "ssh://root@ssh5.vast.ai:10600"]),
        (
            {"ssh_host": "ssh5.vast.ai", "ssh_port": "10600", "ports": None, "image_runtype": "jupyter_direc ssh_direc ssh_proxy"},
            ["ssh://root@ssh5.vast.ai:10601"],
        ),
        ({"ssh_host": "ssh5.vast.ai", "ssh_port": 10600, "ports": {"22/tcp": None}}, ["ssh://root@ssh5.vast.ai:10600"]),
        ({"ssh_host": "ssh5.vast.ai", "ssh_port": 10600, "public_ipaddr": None}, ["ssh://root@ssh5.vast.ai:10600"]),
        ({"public_ipaddr": "2001:db8::1"}, ["ssh://root@[2001:db8::1]:20000"]),
        ({"ports": {"22/tcp": [{"HostPort": 20000}]}}, ["ssh://root@192.0.2.45:20000"]),
    ],
)
async def test_the_direct_address_comes_before_the_proxys(
    changed: dict[str, object], addresses: list[str], desk: VastDesk, discovery: Vastai
) -> None:
    answer(desk, instance(312, **changed))
    [one] = await discovery.boxes()
    assert ([str(address) for address in one.addresses], one.state) == (addresses, BoxState.RUNNING)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "22; reboot", "", "1e3", 2**70])
async def test_a_port_that_is_none_is_not_used(port: str | int, desk: VastDesk, discovery: Vastai) -> None:
    answer(desk, instance(312, ports={"22/tcp": [{"HostPort": port}]}))
    [one] = await discovery.boxes()
    assert (one.state, one.addresses) == (BoxState.UNKNOWN, ())


@pytest.mark.parametrize(
    ("word", "state"),
    [
        (None, BoxState.STARTING),
        *[(word, BoxState.STARTING) for word in ("created", "loading", "rebooting")],
        *[(word, BoxState.STOPPED) for word in ("stopped", "exited", "frozen")],
        *[(word, BoxState.UNKNOWN) for word in ("unknown", "offline", "a new word", "")],
    ],
)
async def test_states(word: str | None, state: BoxState, desk: VastDesk, discovery: Vastai) -> None:
    answer(desk, instance(312, actual_status=word, ports=None))
    [one] = await discovery.boxes()
    assert one.state is state
    assert one.why


async def test_one_that_was_stopped_before_it_ran_is_stopped(desk: VastDesk, discovery: Vastai) -> None:
    answer(desk, instance(312, actual_status=None, intended_status="stopped"))
    assert states(await discovery.boxes()) == {"312": BoxState.STOPPED}


async def test_one_that_runs_without_an_address_is_starting(desk: VastDesk, discovery: Vastai) -> None:
    answer(desk, instance(312, ports=None))
    assert states(await discovery.boxes()) == {"312": BoxState.STARTING}


async def test_one_without_a_heartbeat_may_still_answer_where_it_was(desk: VastDesk, discovery: Vastai) -> None:
    answer(desk, instance(312, actual_status="offline"))
    [one] = await discovery.boxes()
    assert (one.state, len(one.addresses)) == (BoxState.UNKNOWN, 1)


async def test_two_boxes_may_have_had_the_same_address(desk: VastDesk, discovery: Vastai) -> None:
    answer(desk, instance(312), instance(313))
    first, second = await discovery.boxes()
    assert (first.addresses, first.id) == (second.addresses, "312")


@pytest.mark.parametrize("end", [0, -1, 1e300, 1e11])
async def test_an_end_that_is_none_is_not_told(end: float, desk: VastDesk, discovery: Vastai) -> None:
    answer(desk, instance(312, end_date=end))
    [one] = await discovery.boxes()
    assert one.end_ns is None


# --- paging ---------------------------------------------------------------------------------------------------------------


async def test_pages_are_asked_for_one_after_the_other(desk: VastDesk, discovery: Vastai) -> None:
    desk.there.boxes = [box(str(number)) for number in range(51)]
    assert len(await discovery.boxes()) == 51
    assert ["after_token" in request.target for request in desk.server.requests] == [False, True, True]
    assert all(KEY not in request.target for request in desk.server.requests)


async def test_exactly_one_page_is_one_question(desk: VastDesk, discovery: Vastai) -> None:
    desk.there.boxes = [box(str(number)) for number in range(25)]
    assert len(await discovery.boxes()) == 25
    assert len(desk.server.requests) == 1


PAGE_TWO = (
    Json({"success": False, "error": "server_error"}, 500),
    Json({"success": False, "error": "invalid_args", "msg": "bad token"}, 400),
    Reply(200, b""),
    Html(),
    Close(),
    CutInTheMiddle(200, b"{" * 1000),
    CutUnnoticed(200, b'{"instances": []}'),
    Json({"success": True, "instances": [], "instances_found": 0, "total_instances": 0, "next_token": None}),
    Json({"success": True, "instances": [], "next_token": None}),
    Json({"success": True, "instances": [instance(900)], "total_instances": 30, "next_token": None}),
    Json({"success": True, "instances": [instance(900)], "total_instances": 26, "next_token": "25"}),
    Json({"success": True, "instances": [], "next_token": "75"}),
    Json({"success": True, "instances": None, "next_token": None}),
    Json({"success": True, "next_token": None}),
    Json({"success": False, "instances": [instance(900)], "next_token": None}),
    Json({"success": True, "instances": [instance(0)], "next_token": None}),
)


@pytest.mark.parametrize("page_two", PAGE_TWO, ids=lambda reply: f"{type(reply).__name__} {reply.status} {reply.body[:60]!r}")
async def test_a_page_two_that_is_none_voids_the_whole_answer(page_two: Reply, desk: VastDesk, discovery: Vastai) -> None:
    desk.there.boxes = [box(str(number)) for number in range(30)]
    first = desk.server.answer
    desk.server.answer = lambda request: page_two if "after_token" in request.target else first(request)
    with pytest.raises(DiscoveryError):
        await discovery.boxes()


async def test_between_pages_it_waits_when_it_is_too_quick(desk: VastDesk) -> None:
    desk.there.boxes = [box(str(number)) for number in range(30)]
    first, clock = desk.server.answer, HandClock()
    too_quick = [Reply(429, b"API requests too frequent: endpoint threshold=2.0")] * 2
    desk.server.answer = lambda request: too_quick.pop() if "after_token" in request.target and too_quick else first(request)
    discovery = desk.discovery(clock=clock)
    assert len(await discovery.boxes()) == 30
    assert clock.slept_s == [2.0, 4.0]
    await discovery.aclose()


# --- errors ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "error", "told"),
    [
        (Json({"success": False, "error": "auth_error", "msg": "Invalid user key"}, 401), DiscoveryRefused, "Invalid user key"),
        (Json({"success": False, "error": "auth_error", "msg": f"no {KEY}"}, 404), DiscoveryRefused, "no \\*\\*\\*"),
        (Json({"success": False, "msg": "denied"}, 403), DiscoveryRefused, "denied"),
        (Html(403), DiscoveryError, "403: a page of HTML"),
        (Html(503), DiscoveryError, "503"),
        (Html(404), DiscoveryError, "404"),
        (Reply(429, b"API requests too frequent: endpoint threshold=2.0"), DiscoveryThrottled, "less often"),
        (
            Json({"success": False, "error": "deprecated_endpoint", "msg": "/api/v0/instances/ is deprecated. Use /api/v1"}, 410),
            DiscoveryError,
            "withdrawn this API .410.: /api/v0/instances/ is deprecated",
        ),
        (Redirect("https://elsewhere.invalid/"), DiscoveryError, "elsewhere"),
        (Json({"instances": []}, 206), DiscoveryError, "206"),
        (Reply(204), DiscoveryError, "204"),
        (Json([]), DiscoveryError, "not understood"),
    ],
)
async def test_errors_say_what_they_are(
    reply: Reply, error: type[DiscoveryError], told: str, desk: VastDesk, discovery: Vastai
) -> None:
    desk.server.answer = lambda _: reply
    with pytest.raises(DiscoveryError, match=told) as raised:
        await discovery.boxes()
    assert type(raised.value) is error
    assert KEY not in str(raised.value)
    assert len(desk.server.requests) == 1


async def test_a_wait_that_is_asked_for_is_told(desk: VastDesk, discovery: Vastai) -> None:
    for header, wait_s in (({"Retry-After": "30"}, 30.0), ({}, None)):
        desk.server.answer = lambda _, header=header: Reply(429, b"slow down", header)
        with pytest.raises(DiscoveryThrottled) as raised:
            await discovery.boxes()
        assert raised.value.retry_after_s == wait_s


# --- the key and the address ----------------------------------------------------------------------------------------------


async def test_the_key_is_read_before_each_question(desk: VastDesk, discovery: Vastai) -> None:
    file = desk.secret.file
    assert file is not None
    file.write_text("another\n")
    with pytest.raises(DiscoveryRefused, match="Invalid user key"):
        await discovery.boxes()
    file.write_text(f"  {KEY}\r\n\n")
    assert await discovery.boxes() == ()


@pytest.mark.parametrize(
    "content", [b"", b" \n", b"one\ntwo\n", b"one two", b"\xff\xfe", "schlüssel".encode(), b"a\x00b", b"x" * 70_000]
)
async def test_a_bad_key_is_told_and_nobody_is_asked(content: bytes, desk: VastDesk, discovery: Vastai) -> None:
    file = desk.secret.file
    assert file is not None
    file.write_bytes(content)
    with pytest.raises(ApiKeyUnusable) as raised:
        await discovery.boxes()
    assert str(file) in raised.value.message
    assert "one" not in raised.value.message.replace("one line", "").replace("than one word", "").replace("alone", "").replace(
        "none", ""
    )
    file.unlink()
    with pytest.raises(ApiKeyUnusable, match="cannot be read"):
        await discovery.boxes()
    assert desk.server.requests == []


async def test_a_key_that_everybody_may_read_is_a_warning(desk: VastDesk, discovery: Vastai) -> None:
    file = desk.secret.file
    assert file is not None
    for mode, warned in ((0o644, True), (0o640, False), (0o600, False)):
        file.chmod(mode)
        await discovery.boxes()
        assert [str(file) in warning for warning in discovery.warnings()] == [True] * warned


async def test_the_address_may_come_from_the_environment(desk: VastDesk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VAST_URL", f"{desk.server.url}/")
    discovery = Vastai(desk.secret)
    assert await discovery.boxes() == ()
    await discovery.aclose()


async def test_the_key_does_not_go_over_a_line_that_everybody_reads(desk: VastDesk) -> None:
    for url in ("http://vast.invalid", "http://localhost.invalid", "https://[::1", "vast.ai", "file:///etc"):
        discovery = Vastai(desk.secret, url=url)
        with pytest.raises(DiscoveryError, match="without https"):
            await discovery.boxes()


async def test_all_calls_of_a_question_have_one_deadline(desk: VastDesk) -> None:
    desk.there.boxes = [box(str(number)) for number in range(30)]
    desk.server.answer = lambda _, first=desk.server.answer: Drip() if len(desk.server.requests) > 1 else first(_)
    discovery = Vastai(desk.secret, url=desk.server.url, call_s=30, question_s=0.5)
    with pytest.raises(DiscoveryError, match=r"within 0\.5 s"):
        await discovery.boxes()
    await discovery.aclose()


def test_a_key_is_in_no_repr(desk: VastDesk) -> None:
    assert KEY not in repr(Vastai(Secret(text=KEY)))
