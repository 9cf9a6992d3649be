"""Boxes rented at vast.ai, as its API v1 lists them.

Sources: vast-ai/vast-cli, openapi/yaml/show_instances_v1.yaml at 0361c1ca (the list, its paging and fields), and `_ssh_url` in
vastai/cli/commands/misc.py (the address); docs.vast.ai, "rate limits and errors" and "show instances" (the states).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from forged.discovery.asking import Asking, Provider
from forged.discovery.base import MOST_BOXES
from forged.discovery.reading import BoxList, box_id, decoded, end_ns, plain, ssh_address
from forged.kit.clock import Clock, SystemClock
from forged.model.boxes import Box, BoxState
from forged.model.errors import DiscoveryError, DiscoveryThrottled
from forged.model.settings import Secret
from forged.model.target import SourceAddress

NAME = "vast.ai"
URL = "https://console.vast.ai"
PATH = "/api/v1/instances/"

PAGE = 25
"""Instances in one answer; the API gives no more."""

PAGE_MOST_BYTES = 8_000_000
"""An instance has some 4 KB, and 16 KB of environment at most that the console lets one enter; this is several times that."""

WAITS_S = (2.0, 4.0, 8.0)
"""Between pages the API may find us too quick: it wants some 2 s between calls of one endpoint ("endpoint threshold=2.0")."""

STATES: Mapping[str, BoxState] = MappingProxyType(
    {
        "created": BoxState.STARTING,
        "loading": BoxState.STARTING,
        "rebooting": BoxState.STARTING,
        "running": BoxState.RUNNING,
        "stopped": BoxState.STOPPED,
        "exited": BoxState.STOPPED,
        "frozen": BoxState.STOPPED,
        "unknown": BoxState.UNKNOWN,
        "offline": BoxState.UNKNOWN,
    }
)
"""`actual_status`. unknown: no heartbeat; offline: the host is cut off from vast.ai, and may be up all the same."""


class PortBinding(msgspec.Struct):
    """Where a port of the box is reached from outside, as Docker has it: the number is a text."""

    HostPort: str | int


class Instance(msgspec.Struct):
    """What is read of an instance. Its secrets (jupyter_token, onstart, extra_env) have no field here, and so are never kept."""

    id: int | str
    label: str | None = None
    actual_status: str | None = None
    intended_status: str | None = None
    image_runtype: str | None = None
    public_ipaddr: str | None = None
    ports: dict[str, list[PortBinding] | None] | None = None
    ssh_host: str | None = None
    ssh_port: int | str | None = None
    end_date: float | None = None


class Page(msgspec.Struct):
    """One answer of the list. The counts are checked where they are given."""

    instances: list[msgspec.Raw]
    success: bool = True
    instances_found: int | None = None
    total_instances: int | None = None
    next_token: str | None = None


class Vastai:
    """The promises are in discovery/base. Direct addresses come before the proxy's, which is slower but gets through more often."""

    def __init__(
        self,
        key: Secret,
        label: str | None = None,
        *,
        url: str | None = None,
        clock: Clock | None = None,
        call_s: float = 30.0,
        question_s: float = 120.0,
    ) -> None:
        """`url`: where the API is; otherwise what $VAST_URL says, as for vast.ai's own client."""
        self._url = (url or os.environ.get("VAST_URL") or URL).rstrip("/") + PATH
        self._label = label
        self._clock = clock or SystemClock()
        self._provider = Provider(NAME, key, self._clock, call_s=call_s, question_s=question_s, most_bytes=PAGE_MOST_BYTES)

    async def boxes(self) -> tuple[Box, ...]:
        answer, token = BoxList(NAME, self._label), None
        tokens: set[str] = set()
        async with self._provider.question() as asking:
            while True:
                page = await self._page(asking, token)
                answer.read(page.instances, Instance, _box)
                if not page.next_token:
                    _check_total(page, answer)
                    return answer.boxes()
                token = page.next_token
                if token in tokens or len(tokens) > MOST_BOXES // PAGE:
                    raise DiscoveryError(f"the pages of {NAME} do not end: the same ones come again")
                tokens.add(token)

    async def _page(self, asking: Asking, token: str | None) -> Page:
        query = {"limit": str(PAGE), "order_by": '[{"col":"id","dir":"asc"}]'}
        if token is None:
            return _checked(asking.check(await asking.get(self._url, query)), first=True)
        for wait_s in WAITS_S:
            try:
                return _checked(asking.check(await asking.get(self._url, {**query, "after_token": token})), first=False)
            except DiscoveryThrottled as throttled:
                await self._clock.sleep(throttled.retry_after_s or wait_s)
        return _checked(asking.check(await asking.get(self._url, {**query, "after_token": token})), first=False)

    def warnings(self) -> tuple[str, ...]:
        return self._provider.warnings

    async def aclose(self) -> None:
        await self._provider.aclose()


def _checked(body: bytes, *, first: bool) -> Page:
    """A page whose own counts are right. Raises DiscoveryError."""
    page = decoded(body, Page, NAME)
    count = len(page.instances)
    if not page.success:
        raise DiscoveryError(f"{NAME} says itself that it did not succeed")
    if page.instances_found is not None and page.instances_found != count:
        raise DiscoveryError(f"{NAME} speaks of {page.instances_found} instances on a page, and there are {count}")
    if not count and (page.next_token or not first):
        raise DiscoveryError(f"a page of {NAME} is empty, though there should be more")
    return page


def _check_total(page: Page, answer: BoxList) -> None:
    """An instance that went while we turned pages gives a wrong sum, too; the next question is soon."""
    if page.total_instances is not None and page.total_instances != len(answer):
        raise DiscoveryError(f"{NAME} speaks of {page.total_instances} instances in all, and {len(answer)} came")


def _box(instance: Instance) -> Box:
    """Raises ValueError when its address is none."""
    state, why = _state(instance)
    addresses = _addresses(instance) if state in (BoxState.RUNNING, BoxState.UNKNOWN) else ()
    if state is BoxState.RUNNING and not addresses:
        state, why = BoxState.STARTING, f"it runs, but {NAME} has given it no address for SSH yet"
    why = why if not addresses else ""
    return Box(box_id(instance.id, NAME), state, addresses, instance.label, end_ns(instance.end_date), why)


def _state(instance: Instance) -> tuple[BoxState, str]:
    """Its state, and why it has no address if it has none."""
    word = instance.actual_status
    if word is None:  # being provisioned, or stopped before it ever was
        stopped = instance.intended_status == "stopped"
        return (BoxState.STOPPED, _STOPPED) if stopped else (BoxState.STARTING, f"{NAME} is preparing it")
    state = STATES.get(word, BoxState.UNKNOWN)
    return state, _why(state, plain(word)[:40])


def _why(state: BoxState, word: str) -> str:
    match state:
        case BoxState.STARTING:
            return f"it is starting ({word})"
        case BoxState.STOPPED:
            return _STOPPED if word == "stopped" else f"{_STOPPED} ({word})"
        case BoxState.UNKNOWN:
            return f"{NAME} itself does not know how it is ({word}), and names no address"
    return ""


_STOPPED = "it is stopped: its disk is kept (and paid for); start it to bring home what is left there"


def _addresses(instance: Instance) -> tuple[SourceAddress, ...]:
    """Direct first: the box's own SSH port, as it is mapped on its host. Then vast.ai's proxy.

    Texts come with white space and line ends around them. For images that run Jupyter the proxy's SSH port is the next one.
    """
    found = []
    direct, bindings = (instance.public_ipaddr or "").strip(), (instance.ports or {}).get("22/tcp")
    if direct and bindings:
        found.append(ssh_address(direct, _text(bindings[0].HostPort), "root"))
    proxy = (instance.ssh_host or "").strip()
    if proxy and instance.ssh_port is not None:
        port = _text(instance.ssh_port)
        jupyter = "jupyter" in (instance.image_runtype or "")
        found.append(ssh_address(proxy, int(port) + 1 if jupyter and port.isdecimal() else port, "root"))
    return tuple(found)


def _text(port: str | int) -> str:
    return str(port).strip()
