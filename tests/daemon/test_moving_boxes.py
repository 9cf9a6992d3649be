"""A real daemon and a real sshd that comes back on another port: the box is followed, with its memory and its key."""

from __future__ import annotations

import json

from tests.support.daemon import Daemon, daemon, until
from tests.support.sshd import free_port, sshd


def tell(house: Daemon, *ports: int) -> None:
    """What the provider says from now on."""
    lines = [{"id": "7", "host": "127.0.0.1", "port": port, "user": house.sshd.user} for port in ports[:1]]
    (house.root / "boxes").write_text("".join(json.dumps(line) + "\n" for line in (*lines, {"count": len(lines)})))
    house.call("daemon.reload")


def test_a_box_on_another_port_is_followed_and_another_key_is_refused_until_it_is_trusted() -> None:
    with sshd() as box, daemon(box) as house:
        house.home("cloud").mkdir(parents=True)
        house.box("cloud").mkdir(parents=True)
        (house.root / "boxes").write_text('{"count": 0}\n')
        with house.config.open("a") as file:
            file.write(
                f'[[discovery]]\ntype = "command"\nname = "cloud"\ncommand = ["cat", "{house.root}/boxes"]\nevery = "5s"\n'
                f'[discovery.target]\nsource = "{house.box("cloud")}"\ndest = "{house.home("cloud")}"\npoll = "1s"\n'
                f'settle = "100ms"\nidentity_file = "{box.identity}"\n'
            )
        house.start()
        (house.box("cloud") / "a.png").write_bytes(b"A")
        tell(house, box.port)
        until(lambda: (house.home("cloud") / "a.png").exists(), house.log)
        box.stop()
        box.port = free_port()
        box.start()
        (house.box("cloud") / "b.png").write_bytes(b"B")
        tell(house, box.port)
        until(lambda: (house.home("cloud") / "b.png").exists(), house.log)
        assert str(box.port) in house.standing("cloud-7")["source"]
        assert house.metric("forged_discovery_up", discovery="cloud") == 1
        box.stop()
        box.port = free_port()  # where nobody has been yet: the pin belongs to the box, not to the address
        box.new_host_key()
        box.start()
        tell(house, box.port)
        house.until("refused", "cloud-7")
        house.call("target.trust", target="cloud-7", fingerprint=box.fingerprint)
        house.until("idle", "cloud-7")
        house.stop()
