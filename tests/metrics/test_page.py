"""The page over real sockets: formats, bounds, clients that misbehave, and a real Prometheus."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import uvloop
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from forged.kit.clock import HandClock, SystemClock
from forged.metrics import names
from forged.metrics.metrics import Metrics
from forged.metrics.page import MOST_CONNECTIONS, MetricsPage
from forged.metrics.request import BadRequest, Request, parse
from forged.model.errors import ConfigError
from forged.model.observer import BytesArrived
from forged.model.settings import ListenAddress
from tests.metrics.prometheus import complaints, needs_prometheus, needs_promtool, prometheus
from tests.metrics.test_metrics import everything

ANY_PORT = ListenAddress("127.0.0.1", 0)


@pytest.fixture
def metrics() -> Metrics:
    made = Metrics(SystemClock(), version="1.2.3")
    made.expect(["box", 'a "name" \\ with\nall'])
    everything(made, "box")
    everything(made, 'a "name" \\ with\nall')
    return made


@pytest.fixture
async def page(metrics: Metrics) -> AsyncIterator[MetricsPage]:
    async with MetricsPage(ANY_PORT, metrics.registry) as opened:
        yield opened


async def ask(page: MetricsPage, request: bytes) -> bytes:
    """What comes back until the page ends the connection."""
    reader, writer = await asyncio.open_connection(page.address.host, page.address.port)
    try:
        writer.write(request)
        async with asyncio.timeout(20):
            return await rest(reader)
    finally:
        writer.close()


async def get(page: MetricsPage, path: str = "/metrics", **headers: str) -> tuple[str, dict[str, str], bytes]:
    """Status, headers and body."""
    lines = "".join(f"{name}: {text}\r\n" for name, text in headers.items())
    answer = await ask(page, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n".encode())
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *rest = head.decode().split("\r\n")
    return status, dict(line.split(": ", 1) for line in rest), body


# --- what it says


async def test_the_text_format_is_read_by_prometheus_clients_own_parser(page: MetricsPage) -> None:
    status, headers, body = await get(page)
    assert status == "HTTP/1.1 200 OK"
    assert headers["Content-Type"].startswith("text/plain; version=0.0.4")
    assert int(headers["Content-Length"]) == len(body)
    families = {family.name for family in parse_text(body.decode())}
    assert {"forged_target_up", "forged_arrival_latency_seconds", "process_cpu_seconds"} <= families


async def test_openmetrics_is_spoken_to_who_asks_for_it(page: MetricsPage) -> None:
    wanted = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1"
    _, headers, body = await get(page, Accept=wanted)
    assert headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert body.count(b"# EOF\n") == 1
    assert body.endswith(b"# EOF\n")
    families = {family.name: family.type for family in parse_openmetrics(body.decode())}
    assert families["forged_files_transferred"] == "counter"
    assert families["forged_build"] == "info"


@needs_promtool
async def test_promtool_finds_nothing_to_complain_of(page: MetricsPage) -> None:
    _, _, body = await get(page)
    assert complaints(body) == ""


@needs_promtool
def test_promtool_does_complain_of_a_bad_name() -> None:
    assert "total" in complaints(b"# HELP forged_files Files.\n# TYPE forged_files counter\nforged_files 1\n")


@needs_prometheus
async def test_a_real_prometheus_scrapes_it(metrics: Metrics, tmp_path: Path) -> None:
    async with MetricsPage(ANY_PORT, metrics.registry) as page, prometheus(tmp_path, page.address.port) as server:
        metrics.notice(BytesArrived("box", 41))
        assert await server.value('forged_bytes_transferred_total{target="box"}') == 42
        assert await server.value('up{job="forged"}') == 1
        assert await server.value('histogram_quantile(0.5, forged_scan_duration_seconds_bucket{target="box"})') <= 1
        assert await server.value('forged_build_info{version="1.2.3"}') == 1


async def test_numbers_are_refreshed_for_each_look(metrics: Metrics) -> None:
    looks = iter(range(10))
    async with MetricsPage(ANY_PORT, metrics.registry, refresh=lambda: metrics.connections("box", next(looks))) as page:
        for look in range(3):
            _, _, body = await get(page)
            assert f'forged_connections{{target="box"}} {look}.0\n'.encode() in body


async def test_many_at_once_each_get_the_whole_page(page: MetricsPage) -> None:
    answers = await asyncio.gather(*(get(page) for _ in range(10)))
    assert all(body.endswith(b"\n") and b"python_gc_collections_total" in body for _, _, body in answers)


async def test_the_loop_turns_while_a_large_page_is_drawn() -> None:
    metrics = Metrics(HandClock(), version="1")
    targets = [f"target-{number}" for number in range(100)]
    metrics.expect(targets)
    for target in targets:
        everything(metrics, target)
    async with MetricsPage(ANY_PORT, metrics.registry) as page:
        asked = asyncio.create_task(get(page))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0)
            turns += 1
        _, _, body = await asked
    assert len(body) > 300_000
    assert turns > len(names.ALL) / 2


# --- other requests


async def test_the_front_page_leads_to_the_metrics(page: MetricsPage) -> None:
    status, headers, body = await get(page, "/")
    assert status == "HTTP/1.1 200 OK"
    assert headers["Content-Type"].startswith("text/html")
    assert b'href="/metrics"' in body


async def test_a_query_changes_nothing(page: MetricsPage) -> None:
    status, _, body = await get(page, "/metrics?name[]=forged_target_up")
    assert status == "HTTP/1.1 200 OK"
    assert b"forged_backlog_files" in body


async def test_head_gives_the_head(page: MetricsPage) -> None:
    answer = await ask(page, b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer.endswith(b"\r\n\r\n")
    assert b"Content-Length: 0" not in answer


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"GET /secret HTTP/1.1\r\nHost: x\r\n\r\n", b"404"),
        (b"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n", b"405"),
        (b"GET /metrics HTTP/2.0\r\n\r\n", b"400"),
        (b"GET http://x/metrics HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /metrics\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nAccept: a\rb\r\n\r\n", b"400"),
        (b"GET /metrics HTTP/1.1\r\nAccept: a\x00b\r\n\r\n", b"400"),
        (b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"431"),
    ],
)
async def test_a_bad_request_gets_its_answer(request_head: bytes, status: bytes, page: MetricsPage) -> None:
    answer = await ask(page, request_head)
    assert answer.startswith(b"HTTP/1.1 " + status + b" ")
    assert b"\r\nConnection: close\r\n" in answer


@given(st.binary(max_size=200))
def test_any_bytes_are_a_request_or_a_bad_one(head: bytes) -> None:
    try:
        assert parse(head).path.startswith("/")
    except BadRequest as bad:
        assert re.fullmatch(r"4\d\d [A-Z][A-Za-z ]+", bad.status)


def test_several_accept_lines_are_one_list() -> None:
    head = b"GET /metrics HTTP/1.1\r\naccept: text/plain\r\nACCEPT:application/openmetrics-text \r\n\r\n"
    assert parse(head) == Request("GET", "/metrics", "text/plain,application/openmetrics-text ")


# --- clients that misbehave


async def test_a_silent_client_is_let_go(metrics: Metrics) -> None:
    async with MetricsPage(ANY_PORT, metrics.registry, patience_s=0.05) as page:
        for beginning in (b"", b"GET /metrics HT"):
            assert await ask(page, beginning) == b""
        assert (await get(page, "/"))[0] == "HTTP/1.1 200 OK"


async def test_a_client_that_does_not_read_is_let_go() -> None:
    registry = CollectorRegistry()
    Gauge("large", "x" * 20_000_000, registry=registry)  # more than the buffers of two sockets hold
    async with MetricsPage(ANY_PORT, registry, patience_s=0.3) as page:
        reader, writer = await asyncio.open_connection(page.address.host, page.address.port, limit=1024)
        writer.write(b"GET /metrics HTTP/1.1\r\n\r\n")
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        assert (await get(page, "/"))[0] == "HTTP/1.1 200 OK"
        async with asyncio.timeout(20):
            while page.open_connections:
                await asyncio.sleep(0.01)
            assert len(await rest(reader)) < 20_000_000
        writer.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What still comes, until the end or until the connection is reset."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := await reader.read(65_536):
            parts.append(part)
    return b"".join(parts)


async def test_a_client_that_leaves_in_the_middle_harms_nobody(page: MetricsPage) -> None:
    for _ in range(5):
        _, writer = await asyncio.open_connection(page.address.host, page.address.port)
        writer.write(b"GET /metrics HTTP/1.1\r\n")
        writer.transport.abort()
    assert (await get(page))[0] == "HTTP/1.1 200 OK"


async def test_a_crowd_is_turned_away_and_the_next_one_is_served(page: MetricsPage) -> None:
    crowd = [await asyncio.open_connection(page.address.host, page.address.port) for _ in range(MOST_CONNECTIONS)]
    try:
        async with asyncio.timeout(20):
            while page.open_connections < MOST_CONNECTIONS:
                await asyncio.sleep(0)
        assert await ask(page, b"GET / HTTP/1.1\r\n\r\n") == b""
    finally:
        for _, writer in crowd:
            writer.transport.abort()
    async with asyncio.timeout(20):
        while page.open_connections:
            await asyncio.sleep(0)
    assert (await get(page, "/"))[0] == "HTTP/1.1 200 OK"


async def test_the_end_of_the_page_does_not_wait_for_anybody(metrics: Metrics) -> None:
    async with MetricsPage(ANY_PORT, metrics.registry, patience_s=1000.0) as page:
        reader, writer = await asyncio.open_connection(page.address.host, page.address.port)
        writer.write(b"GET /met")
        while not page.open_connections:
            await asyncio.sleep(0)
    async with asyncio.timeout(20):
        assert await rest(reader) == b""
    writer.close()


# --- where it listens


async def test_a_port_in_use_is_told_with_what_to_do(page: MetricsPage, metrics: Metrics) -> None:
    with pytest.raises(ConfigError) as told:
        async with MetricsPage(page.address, metrics.registry):
            pass
    (problem,) = told.value.problems
    assert problem.startswith(f"daemon.metrics: 127.0.0.1:{page.address.port} is used by another program")
    assert "choose another port" in problem


@pytest.mark.parametrize("host", ["203.0.113.7", "no such host.invalid"])
async def test_an_address_of_another_machine_is_told_with_what_to_do(host: str, metrics: Metrics) -> None:
    with pytest.raises(ConfigError, match=r"nothing can listen on .* choose an address of this machine"):
        async with MetricsPage(ListenAddress(host, 0), metrics.registry):
            pass


async def test_the_port_is_free_again_afterwards(metrics: Metrics) -> None:
    async with MetricsPage(ANY_PORT, metrics.registry) as first:
        address = first.address
        await get(first, "/")
    async with MetricsPage(address, metrics.registry) as second:
        assert (await get(second, "/"))[0] == "HTTP/1.1 200 OK"


def test_the_daemons_own_loop_serves_it_as_well(metrics: Metrics) -> None:
    async def scraped_twice() -> None:
        async with MetricsPage(ANY_PORT, metrics.registry, patience_s=0.1) as page:
            assert await ask(page, b"GET /met") == b""
            assert b"forged_target_up" in (await get(page))[2]
            with pytest.raises(ConfigError, match="another program"):
                async with MetricsPage(page.address, metrics.registry):
                    pass

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scraped_twice())
