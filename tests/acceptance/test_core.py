"""The main job as a user runs it: `forged once` in a process of its own against a real OpenSSH server."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from forged.model.target import NamesMode
from forged.rules.names import path_from_home
from tests.support.site import NASTY, Site, grow, staged, tree
from tests.support.sshd import Sshd, free_port
from tests.support.sshd import sshd as running_sshd

FILES, FOLDERS, MOST_BYTES = 300, 20, 200_000


@pytest.fixture
def site(tmp_path: Path, sshd: Sshd) -> Site:
    return Site(tmp_path, sshd)


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_a_nasty_tree_comes_home_identical_and_again_tomorrow(site: Site) -> None:
    grow(site.source, FILES, FOLDERS, MOST_BYTES)
    first = site.once()
    assert first["files_transferred"] == FILES
    assert tree(site.home) == tree(site.source)

    second = site.once()
    assert (second["files_listed"], second["files_transferred"], second["bytes_transferred"]) == (FILES, 0, 0)

    ordinary = sorted(path for path in site.source.rglob("*.png") if path.stat().st_size)
    for path in ordinary[:10]:
        append(path, b"changed")
    for n in range(5):
        (site.source / f"added {n}.png").write_bytes(b"%d" % n)
    for path in ordinary[10:20]:
        os.utime(path)
    os.unlink(ordinary[20])
    third = site.once()
    assert (third["files_transferred"], third["files_versioned"]) == (15, 10)
    assert (site.home / ordinary[20].relative_to(site.source)).exists()
    assert site.once()["files_transferred"] == 0
    assert staged(site.home) == []


def test_portable_names_map_back_without_loss(site: Site) -> None:
    site.names = "portable"
    grow(site.source, len(NASTY) + 20, 5, 10_000)
    site.once()
    at_source, at_home = tree(site.source), tree(site.home)
    assert {path_from_home(path, NamesMode.PORTABLE): what for path, what in at_home.items()} == at_source


def test_an_rsync_copy_is_adopted(site: Site) -> None:
    grow(site.source, FILES, FOLDERS, MOST_BYTES)
    subprocess.run(["rsync", "-a", f"{site.source}/", f"{site.home}/"], check=True)
    before = tree(site.home)
    answer = site.once()
    assert (answer["files_adopted"], answer["files_transferred"], answer["bytes_transferred"]) == (FILES, 0, 0)
    assert tree(site.home) == before


def test_one_target_in_trouble_stops_no_other(site: Site, tmp_path: Path) -> None:
    grow(site.source, 20, 2, 10_000)
    site.others = f"""
[[target]]
name = "dead"
source = "ssh://root@127.0.0.1:{free_port()}/out"
dest = "{tmp_path}/dead"
retry_attempts = 0
[[target]]
name = "stranger"
source = "{site.sshd.url(site.source)}"
dest = "{tmp_path}/stranger"
identity_file = "{site.sshd.identity}"
host_key = "SHA256:{"A" * 43}"
"""
    for folder in ("dead", "stranger"):
        (tmp_path / folder).mkdir()
    good = site.once(status=1)
    assert good["success"]
    assert tree(site.home) == tree(site.source)
    told = site.run("once", status=1)
    assert "127.0.0.1" in told
    assert site.sshd.fingerprint in told
    assert 'host_key = "SHA256:' in told


def test_a_changed_host_key_is_refused_and_the_cure_is_named(tmp_path: Path) -> None:
    with running_sshd() as server:
        site = Site(tmp_path, server)
        grow(site.source, 5, 1, 1_000)
        site.once()
        server.new_host_key()
        server.restart()
        append(site.source / "new.png", b"new")
        told = site.run("once", status=1)
    assert "forgectl trust box" in told.replace("TARGET", "box")
    assert not (site.home / "new.png").exists()


def test_sigkill_at_random_moments_loses_and_repeats_nothing(site: Site) -> None:
    """A short form; the long one ran with 30 kills and a 2 GB file."""
    chance = random.Random(4)
    grow(site.source, 150, 10, 300_000)
    large = site.source / "large.bin"
    large.write_bytes(chance.randbytes(60_000_000))
    site.extra = 'bandwidth = "40MB/s"'  # so that there is a middle to be killed in
    for _ in range(5):
        process = site.start("once", "--json")
        before, wanted = weight(site.home), chance.randrange(1_000_000, 15_000_000)
        while process.poll() is None and weight(site.home) - before < wanted:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.communicate()
    beginnings = {path.stat().st_size for path in staged(site.home)}
    site.extra = ""
    answer = site.once()
    assert answer["success"]
    assert beginnings  # the last kill did strike in the middle
    assert tree(site.home) == tree(site.source)
    assert staged(site.home) == []


def weight(folder: Path) -> int:
    """Bytes below a folder, whatever vanishes meanwhile."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:
            continue
    return total


def test_an_unmounted_destination_is_not_filled(site: Site) -> None:
    grow(site.source, 5, 1, 1_000)
    site.once()
    shutil.move(site.home, site.root / "elsewhere")
    site.home.mkdir()
    append(site.source / "new.png", b"new")
    told = site.run("once", status=1)
    assert ".forged" in told
    assert list(site.home.iterdir()) == []


def test_half_written_pictures_and_films_wait(site: Site) -> None:
    import av
    from PIL import Image

    whole = site.root / "whole.png"
    Image.effect_noise((64, 64), 50).save(whole)
    (site.source / "half.png").write_bytes(whole.read_bytes()[:-20])
    film = site.root / "whole.mp4"
    with av.open(str(film), "w") as out:
        stream = out.add_stream("mpeg4", rate=5)
        stream.width = stream.height = 64
        for _ in range(5):
            out.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        out.mux(stream.encode())
    (site.source / "half.mp4").write_bytes(film.read_bytes()[:-100])
    (site.source / "whole.png").write_bytes(whole.read_bytes())
    answer = site.once()
    assert answer["success"]
    assert set(tree(site.home)) == {b"whole.png"}
    for name, full in (("half.png", whole), ("half.mp4", film)):
        (site.source / name).write_bytes(full.read_bytes())
    site.once()
    assert tree(site.home) == tree(site.source)


def test_links_at_the_source_lead_nowhere(site: Site) -> None:
    secret = site.root / "secret"
    secret.write_bytes(b"not for you")
    (site.source / "link.png").symlink_to(secret)
    (site.source / "folder").symlink_to(site.root)
    (site.source / "real.png").write_bytes(b"real")
    answer = site.once()
    assert set(tree(site.home)) == {b"real.png"}
    assert {problem["kind"] for problem in answer["problems"]} == {"link"}


def test_a_state_directory_that_cannot_be_used_is_told_in_words(site: Site) -> None:
    (site.root / "state").write_bytes(b"a file")
    process = site.start("once")
    _, told = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "state_dir is a folder" in told
    assert "Traceback" not in told
