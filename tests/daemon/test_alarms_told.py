"""A real daemon, a real sshd, real HTTP: an alarm reaches a telephone and a channel, though their servers are down at first."""

from __future__ import annotations

import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon, daemon, until
from tests.support.http_server import Close, Html, HttpServer, Reply, Request, http_server_aside
from tests.support.sshd import sshd

HUSH = "tk_hushhush"


class Messenger:
    """ntfy at its root, Slack below /services. Each is down for its first requests."""

    def __init__(self) -> None:
        self.came: Counter[str] = Counter()
        self.down = True

    def answer(self, request: Request) -> Reply:
        who = "slack" if request.target.startswith("/services") else "ntfy"
        self.came[who] += 1
        if self.down:
            return Html(502) if self.came[who] == 1 else Close()
        return Reply(200, b"ok")


def configured(house: Daemon, server: HttpServer) -> None:
    """Boxes as a program prints them, and two handlers."""
    (house.root / "url").write_text(f"{server.url}/media?auth={HUSH}\n")
    house.home("cloud").mkdir(parents=True)
    house.box("cloud").mkdir(parents=True)
    with house.config.open("a") as file:
        file.write(
            f'[[discovery]]\ntype = "command"\nname = "cloud"\ncommand = ["cat", "{house.root}/boxes"]\nevery = "5s"\n'
            f'[discovery.target]\nsource = "{house.box("cloud")}"\ndest = "{house.home("cloud")}"\npoll = "1s"\n'
            f'settle = "100ms"\nidentity_file = "{house.sshd.identity}"\n'
            f'[[ingest]]\ntype = "webhook"\nname = "telephone"\nformat = "ntfy"\nurl_file = "{house.root}/url"\n'
            f'[[ingest]]\ntype = "webhook"\nname = "channel"\nformat = "slack"\nurl = "{server.url}/services/{HUSH}"\n'
            'events = ["instance_ending", "instance_extended"]\n'
        )


def tell(house: Daemon, ends_in_s: float) -> None:
    """What the provider says from now on."""
    end = (datetime.now(UTC) + timedelta(seconds=ends_in_s)).isoformat()
    one = {"id": "7", "host": "127.0.0.1", "port": house.sshd.port, "user": house.sshd.user, "end": end}
    fresh = Path(f"{house.root}/boxes.new")
    fresh.write_text(f'{json.dumps(one)}\n{{"count": 1}}\n')
    fresh.rename(house.root / "boxes")


def handlers(house: Daemon) -> dict[str, Any]:
    """But for the catalog, which is always there."""
    return {one["name"]: one for one in house.call("daemon.status")["handlers"] if one["type"] != "sqlite"}


def test_an_alarm_reaches_people_though_their_servers_were_down_and_is_told_once_over_a_restart() -> None:
    messenger = Messenger()
    with sshd() as box, http_server_aside(messenger.answer) as server, daemon(box) as house:
        configured(house, server)
        tell(house, 30 * 60)
        house.start()
        until(lambda: all(one["failures"] for one in handlers(house).values()), house.log)
        (problem,) = handlers(house)["telephone"]["problems"]
        assert problem["kind"] == "ingest_error" and server.url in problem["message"]
        assert handlers(house)["channel"]["waiting"] == 1
        assert house.metric("forged_ingest_events_total", handler="telephone", result="failed") >= 1
        (ending,) = (one for one in house.standing("cloud-7")["problems"] if one["kind"] == "ending")
        assert ending["message"].startswith("ends in 29 min")
        assert house.metric("forged_instance_end_timestamp_seconds", target="cloud-7") > time.time()

        messenger.down = False
        until(lambda: all(one["delivered"] for one in handlers(house).values()), house.log)
        assert not any(one["problems"] or one["waiting"] for one in handlers(house).values())
        assert house.metric("forged_ingest_events_total", handler="channel", result="taken") == 1
        told = {"ntfy" if one.target == "/?auth=" + HUSH else "slack": json.loads(one.body) for one in server.requests}
        assert (told["ntfy"]["topic"], told["ntfy"]["title"], told["ntfy"]["priority"]) == (
            *("media", "forged: cloud-7: instance ending"),
            4,
        )
        assert told["slack"]["text"].startswith(":warning: forged: cloud-7: instance ending\ncloud-7 ends in")
        house.stop()

        before = sum(messenger.came.values())
        house.start()
        house.until("idle", "cloud-7")
        assert [one["kind"] for one in house.standing("cloud-7")["problems"]] == ["ending"], "it is raised still"
        tell(house, 30 * 86_400)
        until(lambda: all(one["delivered"] for one in handlers(house).values()), house.log)
        assert sum(messenger.came.values()) == before + 2, "it has not rung again"
        assert "does not end soon any more" in json.loads(server.requests[-1].body.decode()).get("text", "") + str(
            json.loads(server.requests[-2].body.decode())
        )
        assert house.standing("cloud-7")["problems"] == []
        assert HUSH not in house.log() + json.dumps([house.call("daemon.status"), house.call("daemon.config")])
        house.stop()
