"""Pods rented at RunPod, as its API v2 lists them; v1 only where v2 does not exist.

Sources: runpod/docs, api-reference-v2/openapi.json (GET /v2/pods, which is not paged; Pod, PodStatus, PodSsh, PodRuntime) and
migrate-from-v1.mdx, both of August 2026; api-reference/openapi.json for v1, which is to be retired at the end of 2026.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import msgspec

from forged.discovery.asking import NEWER, Asking, Provider
from forged.discovery.reading import BoxList, box_id, decoded, plain, ssh_address
from forged.kit.clock import Clock, SystemClock
from forged.model.boxes import Box, BoxState
from forged.model.errors import DiscoveryError
from forged.model.settings import Secret
from forged.model.target import SourceAddress

NAME = "RunPod"
URL = "https://api.runpod.io/v2"
URL_V1 = "https://rest.runpod.io/v1"

MOST_BYTES = 32_000_000
"""Of one answer, which holds all pods. One has some 2 KB, so this is more than 10,000 of them."""

STATES: Mapping[str, BoxState] = MappingProxyType(
    {
        "PROVISIONING": BoxState.STARTING,
        "STARTING": BoxState.STARTING,
        "RUNNING": BoxState.RUNNING,
        "EXITED": BoxState.STOPPED,
        "ERROR": BoxState.UNKNOWN,
    }
)
"""`status` of v2; `desiredStatus` of v1 knows RUNNING, EXITED and TERMINATED."""

GONE = "TERMINATED"
"""Deleted for good, its volume too: such a pod is no box any more."""

NOT_THERE = (404, 410)
"""v2 does not exist. Anything else (an error, a time-out) is trouble with it, and v1 is not asked."""


class Endpoint(msgspec.Struct):
    """Where SSH answers."""

    host: str
    port: int | str
    username: str | None = None


class PodSsh(msgspec.Struct):
    """The proxy beside `direct` carries a terminal only: no SFTP, no programs with binary output. It is never used."""

    direct: Endpoint | None = None


class RuntimePort(msgspec.Struct):
    """A port of a running pod, and where it is reached from outside."""

    private: int | None = None
    public: int | None = None
    type: str | None = None
    ip: str | None = None


class Runtime(msgspec.Struct):
    """What runs at the moment."""

    ports: list[RuntimePort] | None = None


class Pod(msgspec.Struct):
    """What is read of a pod of v2. Its `env` has no field here, and so is never kept."""

    id: str
    name: str | None = None
    status: str | None = None
    ports: list[str] | None = None
    ssh: PodSsh | None = None
    runtime: Runtime | None = None


class PodV1(msgspec.Struct, rename="camel"):
    """What is read of a pod of v1. `public_ip` is empty, and `port_mappings` null, while it starts."""

    id: str
    name: str | None = None
    desired_status: str | None = None
    ports: list[str] | None = None
    public_ip: str | None = None
    port_mappings: dict[str, int | str] | None = None


class Pods(msgspec.Struct):
    """The list of v2. That of v1 is a bare array."""

    pods: list[msgspec.Raw]


class Runpod:
    """The promises are in discovery/base."""

    def __init__(
        self,
        key: Secret,
        label: str | None = None,
        *,
        url: str = URL,
        url_v1: str = URL_V1,
        clock: Clock | None = None,
        call_s: float = 30.0,
    ) -> None:
        """`label`: only pods of that name."""
        self._url = url.rstrip("/") + "/pods"
        self._url_v1 = url_v1.rstrip("/") + "/pods"
        self._label = label
        self._provider = Provider(NAME, key, clock or SystemClock(), call_s=call_s, question_s=2 * call_s, most_bytes=MOST_BYTES)
        self._has_v2 = False
        """v2 has answered once: when it is not there any more that is an outage, and what v1 says then is not to be trusted."""

    async def boxes(self) -> tuple[Box, ...]:
        pods = BoxList(NAME, self._label)
        async with self._provider.question() as asking:
            answer = await asking.get(self._url)
            if answer.status in NOT_THERE and not self._has_v2:
                return await self._boxes_v1(asking, pods)
            body = asking.check(answer)
        pods.read(decoded(body, Pods, NAME).pods, Pod, _box)
        self._has_v2 = True
        return pods.boxes()

    async def _boxes_v1(self, asking: Asking, pods: BoxList) -> tuple[Box, ...]:
        answer = await asking.get(self._url_v1)
        if answer.status in NOT_THERE:
            raise DiscoveryError(f"{NAME} has neither API v2 nor v1 any more", hint=NEWER)
        pods.read(decoded(asking.check(answer), list[msgspec.Raw], NAME), PodV1, _box_v1)
        return pods.boxes()

    def warnings(self) -> tuple[str, ...]:
        return self._provider.warnings

    async def aclose(self) -> None:
        await self._provider.aclose()


def _box(pod: Pod) -> Box | None:
    """None: it is gone. Raises ValueError when its address is none."""
    return _made(pod.id, pod.name, pod.status, pod.ports, _direct(pod))


def _box_v1(pod: PodV1) -> Box | None:
    host, port = (pod.public_ip or "").strip(), (pod.port_mappings or {}).get("22")
    direct = ssh_address(host, port, "root") if host and port is not None else None
    return _made(pod.id, pod.name, pod.desired_status, pod.ports, direct)


def _made(id: str, name: str | None, status: str | None, ports: list[str] | None, direct: SourceAddress | None) -> Box | None:
    if status == GONE:
        return None
    state = STATES.get(status or "", BoxState.UNKNOWN)
    if direct and state in (BoxState.RUNNING, BoxState.UNKNOWN):
        return Box(box_id(id, NAME), state, (direct,), name)
    if state is BoxState.RUNNING and _exposes_ssh(ports):
        state = BoxState.STARTING
    return Box(box_id(id, NAME), state, (), name, why=_why(state, status))


def _exposes_ssh(ports: list[str] | None) -> bool:
    """Whether an address can still come; a pod that does not say which ports it exposes may expose this one."""
    return ports is None or "22/tcp" in ports


def _why(state: BoxState, status: str | None) -> str:
    match state:
        case BoxState.RUNNING:
            return f"it has no direct SSH: expose 22/tcp and install sshd in it ({NAME}'s proxy carries no files)"
        case BoxState.STARTING:
            return f"{NAME} has given it no address for SSH yet"
        case BoxState.STOPPED:
            return "it is stopped: its volume is kept (and paid for); start it to bring home what is left there"
    return f"{NAME} itself does not know how it is ({plain(status or 'no status')[:40]}), and names no address"


def _direct(pod: Pod) -> SourceAddress | None:
    """`ssh.direct`, otherwise the runtime's own mapping of port 22."""
    if pod.ssh and pod.ssh.direct:
        direct = pod.ssh.direct
        return ssh_address(direct.host.strip(), direct.port, direct.username or "root")
    for port in (pod.runtime and pod.runtime.ports) or ():
        if port.private == 22 and port.type == "tcp" and port.public and port.ip:
            return ssh_address(port.ip.strip(), port.public, "root")
    return None
