"""RunPod's lists of pods as a fake, v2 and v1: whole pods as the vendor's specifications show them, secrets included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from forged.discovery.runpod import Runpod
from forged.model.boxes import Box, BoxState
from tests.discovery.desks import KEY, Odd, There, secret
from tests.discovery.vast_api import troubled
from tests.support.http_server import HttpServer, Json, Reply, Request

STATES = {BoxState.RUNNING: "RUNNING", BoxState.STARTING: "PROVISIONING", BoxState.STOPPED: "EXITED", BoxState.UNKNOWN: "ERROR"}


def direct(host: str, port: int | str) -> dict[str, object]:
    return {"host": host, "port": port, "username": "root", "command": f"ssh root@{host} -p {port}"}


def pod(id: str, **changed: object) -> dict[str, object]:
    """One that runs, and can be reached directly."""
    proxy = {"host": "ssh.runpod.io", "port": 22, "username": f"{id}-64411eb2", "command": f"ssh {id}-64411eb2@ssh.runpod.io"}
    ports = [{"private": 8888, "public": 60001, "type": "http", "ip": "100.65.0.9"}]
    whole: dict[str, object] = {
        **{"id": id, "name": "comfy", "image": "runpod/comfyui:latest", "args": "", "disk": 50, "registry": None},
        **{"status": "RUNNING", "actions": ["stop", "restart", "terminate"], "ports": ["8888/http", "22/tcp"]},
        **{"env": {"HF_TOKEN": "sk-in-the-environment", "JUPYTER": "df77e27085bd4b3b", "ONSTART": "export HF_TOKEN="}},
        **{"mounts": {"persistent": {"size": 20, "path": "/workspace"}}, "gpu": {"id": "NVIDIA GeForce RTX 4090", "count": 1}},
        **{"cloud": "SECURE", "dataCenterId": "US-KS-2", "cudaVersion": "12.8", "template": None, "cost": 0.44, "locked": False},
        **{"ssh": {"proxy": proxy, "direct": direct("195.26.233.3", 34446)}, "globalNetworking": {"enabled": False}},
        **{"runtime": {"uptime": 3600, "ports": ports}, "createdAt": "2026-06-01T12:00:00Z", "startedAt": None},
    }
    return {**whole, **changed}


def pod_v1(id: str, **changed: object) -> dict[str, object]:
    """One that runs, as v1 shows it."""
    whole: dict[str, object] = {
        **{"id": id, "name": "comfy", "desiredStatus": "RUNNING", "publicIp": "100.65.0.119", "portMappings": {"22": 10341}},
        **{
            "ports": ["8888/http", "22/tcp"],
            "env": {"HF_TOKEN": "sk-in-the-environment"},
            "costPerHr": "0.74",
            "interruptible": False,
        },
    }
    return {**whole, **changed}


def from_box(box: Box) -> dict[str, object]:
    """The pod that RunPod would show for it. It knows one address only: the last."""
    ssh = {"proxy": None, "direct": direct(box.addresses[-1].host, box.addresses[-1].port or 22) if box.addresses else None}
    return pod(box.id, name=box.label, status=STATES[box.state], ssh=ssh, runtime=None)


ODD: dict[Odd, Callable[[str], object]] = {
    Odd.WRONG_KINDS: lambda id: pod(id, name=["forge"], ports="22", ssh=[]),
    Odd.ONLY_AN_ID: lambda id: {"id": id},
    Odd.BAD_ADDRESS: lambda id: pod(id, name="forge", ssh={"direct": direct("-oProxyCommand=reboot", 22)}),
    Odd.WITHOUT_ID: lambda _: {**pod("1"), "id": None},
    Odd.NOT_EVEN_AN_OBJECT: lambda _: None,
}


class RunpodDesk:
    """Answers at `server`, v2 below /v2 and v1 below /v1."""

    tells_ends = False

    def __init__(self, server: HttpServer, folder: Path) -> None:
        self.there = There()
        self.server = server
        self.secret = secret(folder)
        server.answer = self._answer

    def discovery(self, label: str | None = None, *, hasty: bool = False) -> Runpod:
        v2, v1 = f"{self.server.url}/v2", f"{self.server.url}/v1"
        return Runpod(self.secret, label, url=v2, url_v1=v1, call_s=0.5 if hasty else 30.0)

    def _answer(self, request: Request) -> Reply:
        if urlsplit(request.target).path != "/v2/pods":
            return Json({"title": "Not Found", "status": 404, "detail": "resource not found"}, 404)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Json({"title": "Unauthorized", "status": 401, "detail": "missing bearer token"}, 401)
        odd = [ODD[what](id) for what, id in self.there.odd]
        whole = Json({"pods": [*map(from_box, self.there.boxes), *odd]})
        return whole if self.there.trouble is None else troubled(self.there.trouble, whole.body)
