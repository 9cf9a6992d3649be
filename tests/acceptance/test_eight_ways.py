"""Broken in eight ways, and `forgectl status` alone names the cause and the cure of each. One daemon and one sshd for all."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import Daemon, daemon, until
from tests.support.mounts import skip_without_own_mounts
from tests.support.sshd import free_port, make_key, sshd

TARGETS = {
    "key": 'identity_file = "{root}/stranger"',
    "full": "",
    "nas": "require_mount = true",
    "unmounted": "",
    "dead": "",
    "held": "",
}

POSTGRES = '[[ingest]]\ntype = "postgres"\nname = "archive"\ndsn = "postgresql://forged:geheim@127.0.0.1:{port}/media"\n'

FORGECTL = (sys.executable, "-c", "from forged.cli.forgectl import main; main()")

MOST_S = 60.0

EXIFTOOL = shutil.which("exiftool")


def broken(house: Daemon) -> None:
    """Five of the eight before it starts. Its PATH leads to a folder with exiftool alone; one home is a tiny disk."""
    (house.root / "bin").mkdir()
    if EXIFTOOL:
        (house.root / "bin" / "exiftool").symlink_to(EXIFTOOL)
    make_key(house.root / "stranger")
    house.targets = {name: lines.format(root=house.root) for name, lines in house.targets.items()}
    house.sources["dead"] = f"ssh://root@127.0.0.1:{free_port()}/outputs"
    house.transfer_lines = 'min_free = "1MB"\n' + POSTGRES.format(port=free_port())
    script = 'mount -t tmpfs -o size=900k tmpfs "$0" && PATH=$1 && shift && exec "$@"'
    private = [
        "/usr/bin/unshare",
        "--mount",
        "--propagation",
        "private",
        "/bin/sh",
        "-c",
        script,
        str(house.home("full")),
        str(house.root / "bin"),
    ]
    house.within = lambda command: [*private, *command]
    for n in range(12):
        (house.box("held") / f"{n}.png").write_bytes(os.urandom(100))
    (house.box("unmounted") / "first.png").write_bytes(b"first")
    (house.box("full") / "a.png").write_bytes(b"A" * 100_000)
    house.write()


@pytest.fixture(scope="module")
def house() -> Iterator[Daemon]:
    skip_without_own_mounts()
    with sshd() as server, daemon(server, "/tmp", **TARGETS) as made:
        broken(made)
        made.start()
        until(lambda: len(list(made.home("held").glob("*.png"))) == 12, made.log, MOST_S)
        until(lambda: (made.home("unmounted") / "first.png").exists(), made.log, MOST_S)
        unmounted(made)
        emptied(made)
        yield made


def unmounted(house: Daemon) -> None:
    """An unmounted disk leaves an empty folder behind."""
    house.home("unmounted").rename(house.root / "away")
    house.home("unmounted").mkdir()
    (house.box("unmounted") / "second.png").write_bytes(b"second")


def emptied(house: Daemon) -> None:
    """A box that shows nothing any more, all of a sudden."""
    for path in house.box("held").iterdir():
        path.unlink()


def status(house: Daemon) -> str:
    command = [*FORGECTL, "--socket", house.control, "status"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=house.environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def told(house: Daemon, who: str, *words: str) -> str:
    """What status says of this, cause and cure; waits for it."""
    pattern = re.compile(rf"✘ {re.escape(who)}: .*?\n(?:  .*\n)*?  → .*")

    def there() -> bool:
        return any(all(word in found for word in words) for found in pattern.findall(status(house)))

    until(there, lambda: f"{words} in:\n{status(house)}", MOST_S)
    return next(found for found in pattern.findall(status(house)) if all(word in found for word in words))


def test_a_wrong_key(house: Daemon) -> None:
    said = told(house, "key", "refused", "→ add the public key to the box's authorized_keys, or set identity_file")
    assert "Permission denied" in said or "key" in said
    assert re.search(r"^key +refused ", status(house), re.MULTILINE)


def test_a_full_disk(house: Daemon) -> None:
    told(house, "full", str(house.home("full")), "min_free", "→ free some room at home; forged goes on by itself")
    assert list(house.home("full").iterdir()) == [], "outside of its own mounts nothing was written"


def test_an_unmounted_destination(house: Daemon) -> None:
    told(house, "unmounted", str(house.home("unmounted")), "→ ", "mounted?")
    assert list(house.home("unmounted").iterdir()) == []


def test_a_destination_that_has_to_be_a_mount(house: Daemon) -> None:
    told(house, "nas", str(house.home("nas")), "nothing is mounted there", "→ mount it; forged goes on by itself")
    assert list(house.home("nas").iterdir()) == []


def test_a_dead_box(house: Daemon) -> None:
    told(house, "dead", "127.0.0.1", "→ check that the box runs and that host and port are still right")
    assert re.search(r"^dead +unreachable ", status(house), re.MULTILINE)
    assert re.search(r"^✘ dead: .*Connection refused \(for .*, (next try in .*|trying now)\)$", status(house), re.MULTILINE)
    assert "nothing to do" not in status(house) and "5 cannot be looked at" in status(house)


def test_bad_toml(house: Daemon) -> None:
    right = house.config.read_text()
    wrong = right.replace('poll = "1s"', 'pol = "1s"')
    house.config.write_text(wrong)
    reload = [*FORGECTL, "--socket", house.control, "reload"]
    assert subprocess.run(reload, capture_output=True, timeout=60, env=house.environment).returncode == 2
    line = wrong[: wrong.index('pol = "1s"')].count("\n") + 1
    told(house, "forged", "NOT changed", f"forged.toml:{line}: target[key].pol: ", "did you mean 'poll'?", "forgectl reload")
    house.config.write_text(right + "x = [")
    subprocess.run(reload, capture_output=True, timeout=60, env=house.environment)
    told(house, "forged", "NOT changed", "this is not TOML", "forgectl reload")
    house.config.write_text(right)
    assert subprocess.run(reload, capture_output=True, timeout=60, env=house.environment).returncode == 0
    assert "NOT changed" not in status(house)


def test_a_dead_database(house: Daemon) -> None:
    said = told(
        house, "ingest archive", "→ check that PostgreSQL runs there, and host and port in dsn; forged tries again by itself"
    )
    assert "geheim" not in status(house) and "PostgreSQL at 127.0.0.1: Connect" in said
    assert re.search(r"^ingest archive \(postgres\): not taken, tried .* events wait", status(house), re.MULTILINE)


def test_a_missing_exiftool(house: Daemon) -> None:
    assert "exiftool" not in status(house) or EXIFTOOL is None
    (house.root / "bin" / "exiftool").unlink(missing_ok=True)  # it is not waited for until a file needs it
    told(
        house,
        "forged",
        "exiftool is missing: no XMP sidecars are written",
        "→ install exiftool: `apt install libimage-exiftool-perl`",
    )


def test_a_held_target(house: Daemon) -> None:
    told(house, "held", "cleanup and forgetting are held: the source shows no file at all, though 12 were there before")
    told(house, "held", "→ look at the source and at home, then: forgectl release held")
    assert len(list(house.home("held").glob("*.png"))) == 12


def test_where_no_daemon_runs_status_says_how_to_find_out_why(tmp_path: Path) -> None:
    command = [*FORGECTL, "--socket", str(tmp_path / "s"), "status"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert "forged check" in done.stderr and "journalctl" in done.stderr


def test_a_script_hears_that_something_is_wrong(house: Daemon) -> None:
    command = [*FORGECTL, "--socket", house.control, "status", "--check"]
    assert subprocess.run(command, capture_output=True, timeout=60, env=house.environment).returncode == 1


def test_all_of_it_for_the_eyes(house: Daemon, capsys: pytest.CaptureFixture[str]) -> None:
    """`pytest -s` shows it; the pages in etc/doc quote it."""
    text = status(house)
    if folder := os.environ.get("FORGED_SHOW_STATUS"):
        Path(folder).write_text(text)
    assert text.count("→ ") >= 7
