"""A class of the owner's that chokes on one file: it stops no other, shows, keeps its picture at the box, and is mended. And a
program beside it that never ends, but with the daemon, also when that is killed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.daemon import Daemon, daemon, until
from tests.support.sshd import sshd

CLASS = """
import pathlib
HERE = pathlib.Path(__file__).parent

class Own:
    def on_file_synced(self, event):
        if event.source_path == "bad.png" and not (HERE / "mended").exists():
            raise ValueError("this one I cannot read")
        with (HERE / "kept").open("a") as file:
            file.write(f"{event.source_path} {event.again}\\n")
"""

INGEST = """
[[ingest]]
type = "python"
name = "own"
required = true
handler = "own_class:Own"

[[ingest]]
type = "command"
name = "endless"
command = ["/bin/sh", "-c", "echo $$ > {root}/endless; while :; do sleep 0.1; done"]
"""

CLEANUP = '[target.cleanup]\nage = "0s"\nevery = "1h"'


class Here(Daemon):
    """With a class of the owner's beside it."""

    ingest = INGEST

    def toml(self) -> str:
        return super().toml() + self.ingest.format(root=self.root)

    @property
    def environment(self) -> dict[str, str]:
        return super().environment | {
            "PYTHONPATH": os.pathsep.join([str(self.root / "own"), *filter(None, [os.environ.get("PYTHONPATH")])])
        }

    def kept(self) -> list[str]:
        """Each once: what came in one delivery with what it chokes on comes again."""
        file = self.root / "own" / "kept"
        return sorted(set(file.read_text().splitlines())) if file.exists() else []

    def endless(self) -> int | None:
        """The process of the endless program, where it runs."""
        file = self.root / "endless"
        pid = file.read_text().strip() if file.exists() else ""
        return int(pid) if pid and Path(f"/proc/{pid}/exe").exists() else None

    def ctl(self, *arguments: str) -> Any:
        command = [str(Path(sys.executable).with_name("forgectl")), "--socket", self.control, *arguments, "--json"]
        return json.loads(subprocess.run(command, check=False, capture_output=True).stdout)


def test_what_a_class_of_the_owners_chokes_on_waits_for_it_and_nothing_else_does() -> None:
    with sshd() as box, daemon(box, box=CLEANUP) as plain:
        house = Here.__new__(Here)
        house.__dict__ = plain.__dict__
        (house.root / "own").mkdir()
        (house.root / "own" / "own_class.py").write_text(CLASS)
        house.write()
        house.start()
        for name in ("a", "bad", "c"):
            (house.box() / f"{name}.png").write_bytes(name.encode())
        until(lambda: house.kept() == ["a.png False", "c.png False"], house.log)
        until(lambda: house.ctl("ingest")["events"], house.log)
        (event,) = house.ctl("ingest")["events"]
        assert (event["handler"], event["key"]) == ("own", f"{house.home()}/bad.png")
        assert "this one I cannot read" in event["error"]
        cleaned = house.ctl("cleanup", "box")
        assert [one["path"] for one in cleaned["removed"]] == ["a.png", "c.png"]
        [kept] = cleaned["kept"]
        assert (kept["path"], kept["why"]) == ("bad.png", "not_ingested")
        assert "required ingest own has not taken it: it is set aside" in kept["message"]
        assert house.ctl("drain", "box")["safe_to_destroy"] is False

        until(lambda: house.endless() is not None, house.log)
        pid = house.endless()
        house.kill()
        until(lambda: house.endless() is None, house.log)
        assert not Path(f"/proc/{pid}/exe").exists()
        (house.root / "own" / "mended").touch()
        house.start()
        house.ctl("ingest", "retry", "own")
        until(lambda: house.kept() == ["a.png False", "bad.png False", "c.png False"], house.log)
        until(lambda: not house.ctl("ingest")["events"], house.log)
        assert house.ctl("drain", "box")["safe_to_destroy"] is True
        assert [one["path"] for one in house.ctl("cleanup", "box")["removed"]] == ["bad.png"]

        assert house.ctl("ingest", "replay", "own")["events"] == 3
        until(lambda: sum(line.endswith("True") for line in house.kept()) == 3, house.log)
