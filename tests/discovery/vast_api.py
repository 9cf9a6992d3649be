"""vast.ai's list of instances as a fake: whole instances as the vendor's specification shows them, secrets included."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from forged.discovery.vastai import Vastai
from forged.kit.clock import Clock
from forged.model.boxes import Box, BoxState
from tests.discovery.desks import KEY, Odd, There, Trouble, broken, secret
from tests.support.http_server import Endless, Hang, HttpServer, Json, Reply, Request

STATES = {BoxState.RUNNING: "running", BoxState.STARTING: "loading", BoxState.STOPPED: "stopped", BoxState.UNKNOWN: "offline"}
PAGE = 25


def instance(id: int | str, **changed: object) -> dict[str, object]:
    """One that runs, with a direct address and none of the proxy's."""
    whole: dict[str, object] = {
        **{"id": id, "actual_status": "running", "cur_state": "running", "next_state": "running", "intended_status": "running"},
        **{"label": None, "image_uuid": "vastai/comfy:latest", "image_runtype": "ssh ssh_direc ssh_proxy", "template_id": None},
        **{"public_ipaddr": "192.0.2.45\n", "ssh_host": None, "ssh_port": None, "ssh_idx": "6", "machine_dir_ssh_port": 21000},
        "ports": {
            "8888/tcp": [{"HostIp": "0.0.0.0", "HostPort": "8888"}],
            "22/tcp": [{"HostIp": "0.0.0.0", "HostPort": "20000"}, {"HostIp": "::", "HostPort": "20000"}],
        },
        **{"start_date": 1668804745.1223178, "end_date": None, "uptime_mins": None, "is_bid": False, "geolocation": "Sweden, SE"},
        **{
            "extra_env": [["HF_TOKEN", "sk-in-the-environment"]],
            "onstart": "export HF_TOKEN=",
            "jupyter_token": "df77e27085bd4b3b",
        },
        **{"status_msg": "success, running", "dph_total": 0.8021, "search": {"totalHour": 0.8021, "discountTotalHour": 0}},
    }
    return {**whole, **changed}


def from_box(box: Box) -> dict[str, object]:
    """The instance that vast.ai would show for it; a second address is its proxy's."""
    id = int(box.id) if box.id.isascii() and box.id.isdigit() else box.id
    changed: dict[str, object] = {"actual_status": STATES[box.state], "label": box.label, "ports": None}
    if box.end_ns:
        changed["end_date"] = box.end_ns / 1e9
    if box.addresses:
        changed["public_ipaddr"] = f" {box.addresses[0].host}\n"
        changed["ports"] = {"22/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(box.addresses[0].port)}]}
    if len(box.addresses) > 1:
        changed |= {"ssh_host": f"{box.addresses[1].host} ", "ssh_port": box.addresses[1].port}
    return instance(id, **changed)


ODD: dict[Odd, Callable[[str], object]] = {
    Odd.WRONG_KINDS: lambda id: instance(int(id), label=["forge"], ports="22", end_date={}),
    Odd.ONLY_AN_ID: lambda id: {"id": int(id)},
    Odd.BAD_ADDRESS: lambda id: instance(int(id), label="forge", public_ipaddr="-oProxyCommand=reboot"),
    Odd.WITHOUT_ID: lambda _: {**instance(1), "id": None},
    Odd.NOT_EVEN_AN_OBJECT: lambda _: None,
}


def pages(instances: list[object], request: Request) -> dict[str, object]:
    """The page that was asked for, as the specification has it; tokens are numbers here."""
    query = {name: values[0] for name, values in parse_qs(urlsplit(request.target).query).items()}
    begin, limit = int(query.get("after_token", "0")), min(int(query.get("limit", "25")), PAGE)
    page = [from_box(one) if isinstance(one, Box) else one for one in instances[begin : begin + limit]]
    more = str(begin + limit) if begin + limit < len(instances) else None
    counts = {
        "success": True,
        "instances_found": len(page),
        "total_instances": len(instances),
        "label_counts": {"": len(instances)},
    }
    return {**counts, "next_token": more, "instances": page}


class VastDesk:
    """Answers at `server`."""

    tells_ends = True

    def __init__(self, server: HttpServer, folder: Path) -> None:
        self.there = There()
        self.server = server
        self.secret = secret(folder)
        server.answer = self._answer

    def discovery(self, label: str | None = None, *, hasty: bool = False, clock: Clock | None = None) -> Vastai:
        return Vastai(self.secret, label, url=self.server.url, clock=clock, call_s=0.5 if hasty else 30.0)

    def _answer(self, request: Request) -> Reply:
        if urlsplit(request.target).path != "/api/v1/instances/":
            return Json({"error": "not found"}, 404)
        if request.headers.get("authorization") != f"Bearer {KEY}":
            return Json({"success": False, "error": "auth_error", "msg": "Invalid user key"}, 401)
        odd = [ODD[what](id) for what, id in self.there.odd]
        whole = Json(pages([*self.there.boxes, *odd], request))
        return whole if self.there.trouble is None else troubled(self.there.trouble, whole.body)


def troubled(trouble: Trouble, whole: bytes) -> Reply:
    """An answer over HTTP that is none."""
    match trouble:
        case Trouble.FAILS:
            return Json({"success": False, "error": "server_error", "msg": f"Oops, {KEY}\x1b[31m"}, 500)
        case Trouble.HANGS:
            return Hang()
        case Trouble.ENDLESS:
            return Endless()
    return Reply(200, broken(trouble, whole), {"Content-Type": "application/json"})
