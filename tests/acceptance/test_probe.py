"""`forged probe` on a box of each program, its block pasted into a TOML, and a sync: just the wanted files, each once.

The box has a disk of its own behind a real sshd (`support/rented`); its trees are named as the programs name them. The box that has
everything is probed and synced by the real commands; the many that have one program in this process, which spares two seconds each.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from forged.cli.probe import report
from forged.config.address import parse_source
from forged.config.load import load
from forged.daemon.app import App
from forged.daemon.probe import Probe
from forged.model.observer import Nobody
from forged.model.target import SshOptions
from forged.sync.cycle import RoundResult
from tests.support.programs import (
    AI_DOCK,
    AI_DOCK_MOVED,
    AI_TOOLKIT,
    ALL,
    FOOOCUS,
    INVOKEAI,
    KOHYA,
    SDNEXT,
    STORAGE,
    SWARMUI,
    Tree,
    a1111,
    comfyui,
    content,
)
from tests.support.rented import rented, wipe
from tests.support.site import COMMAND
from tests.support.sshd import Sshd, sshd

pytestmark = pytest.mark.root

HEAD = '[daemon]\nstate_dir = "{root}/state"\n[transfer]\nmin_free = "1MB"\n'


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Sshd, Path]]:
    disk = tmp_path_factory.mktemp("disk")
    with rented(disk) as server:
        yield server, disk
    wipe(disk)


@dataclass
class Owner:
    """Somebody with a box and a home."""

    sshd: Sshd
    disk: Path
    root: Path

    def forged(self, *arguments: str, status: int = 0) -> str:
        hidden = {"SSH_AUTH_SOCK", "MEDIA_BASE", "LOG_BASE", "FORGED_CONFIG"}
        env = {key: value for key, value in os.environ.items() if key not in hidden} | {"HOME": str(self.root)}
        done = subprocess.run([*COMMAND, *arguments], env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == status, f"exit {done.returncode}:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def command(self, path: str = "", status: int = 0) -> str:
        """What `forged probe` prints."""
        return self.forged("probe", "-i", str(self.sshd.identity), self.sshd.url(path), status=status)

    async def probed(self, url: str | None = None) -> str:
        """The same, without a process of its own."""
        ssh = SshOptions(identity_file=self.sshd.identity)
        findings = await Probe(parse_source(url or self.sshd.url("")), ssh, self.root).look()
        return "\n".join(line.text for line in report(findings))

    def paste(self, blocks: str) -> None:
        settled = blocks.replace("[[target]]\n", '[[target]]\nsettle = "0s"\n')
        (self.root / "forged.toml").write_text(HEAD.format(root=self.root) + settled)

    def sync_by_command(self) -> str:
        return self.forged("-c", str(self.root / "forged.toml"), "once")

    async def sync(self) -> list[RoundResult]:
        """One sync of all targets."""
        config = load(self.root / "forged.toml", {"HOME": str(self.root), "XDG_RUNTIME_DIR": str(self.root)}, is_root=False)
        async with App.open(config, observer=Nobody(), ssh_home=self.root) as app:
            return await app.once(await app.wanted())

    async def synced(self) -> None:
        """The same, and all went well."""
        assert [result.success for result in await self.sync()].count(False) == 0

    def home(self) -> dict[str, bytes]:
        """Everything at home, but forged's own: path below ~/media to content."""
        media = self.root / "media"
        files = [path for path in media.rglob("*") if path.is_file() and ".forged" not in path.parts]
        return {str(path.relative_to(media)): path.read_bytes() for path in files}


@pytest.fixture
def owner(box: tuple[Sshd, Path], tmp_path: Path) -> Owner:
    wipe(box[1])
    return Owner(*box, tmp_path)


def expected(name: str, tree: Tree) -> dict[str, bytes]:
    return {f"{name}/{at_home}": content(path) for at_home, path in tree.wanted.items()}


BOXES = {
    "a1111": ("a1111", "a1111", a1111("/workspace/stable-diffusion-webui")),
    "a1111 in a home": ("a1111", "a1111", a1111("/root/stable-diffusion-webui")),
    "forge": ("forge", "forge", a1111("/workspace/stable-diffusion-webui-forge")),
    "reforge": ("forge", "forge", a1111("/opt/stable-diffusion-webui-reForge")),
    "comfyui": ("comfyui", "comfyui", comfyui("/workspace/ComfyUI")),
    "comfyui at the top of the disk": ("comfyui", "comfyui", comfyui("/ComfyUI")),
    "comfyui by ai-dock": ("comfyui", "comfyui", AI_DOCK),
    "comfyui by ai-dock, moved": ("comfyui", "comfyui", AI_DOCK_MOVED),
    "comfyui with outputs elsewhere": ("comfyui", "comfyui", STORAGE),
    "swarmui": ("swarmui", "swarmui", SWARMUI),
    "invokeai": ("invokeai", "invokeai", INVOKEAI),
    "fooocus": ("fooocus", "fooocus", FOOOCUS),
    "sdnext": ("sdnext", "sdnext", SDNEXT),
    "kohya": ("generic", "kohya_ss", KOHYA),
    "ai-toolkit": ("generic", "ai-toolkit", AI_TOOLKIT),
}


@pytest.mark.parametrize("name", BOXES)
async def test_the_printed_block_brings_just_what_the_program_made(name: str, owner: Owner) -> None:
    type_, target, tree = BOXES[name]
    tree.build(owner.disk)
    told = await owner.probed()
    blocks = told[told.index("[[target]]") :]
    assert blocks.count("[[target]]") == 1, told
    assert f'type = "{type_}"' in blocks
    assert "ssh agent (python 3" in told
    assert owner.sshd.fingerprint in told
    owner.paste(blocks)
    await owner.synced()
    assert owner.home() == expected(target, tree)
    await owner.synced()
    assert owner.home() == expected(target, tree)


def rented_names(tree: Tree) -> dict[str, bytes]:
    """At home, below a target for the whole box: as below the workspace, else with the place before it."""
    found = {}
    for path in tree.wanted.values():
        place, _, rest = path.strip("/").partition("/")
        at_home = rest if place == "workspace" else path.strip("/") if place in ("opt", "root") else f"disk/{path.strip('/')}"
        found[f"box/{at_home}"] = content(path)
    return found


@pytest.mark.parametrize("type_", ["vastai", "runpod"])
async def test_one_target_for_a_rented_box_brings_what_all_programs_made(type_: str, owner: Owner) -> None:
    for tree in ALL:
        tree.build(owner.disk)
    everything = {path: data for tree in ALL for path, data in rented_names(tree).items()}
    for path in [one for one in everything if one.startswith("box/opt/ComfyUI/")]:
        everything[path.replace("box/opt/", "box/")] = everything.pop(path)  # /workspace/ComfyUI leads there: that is its name
    owner.paste(target(owner, type_))
    await owner.synced()
    assert owner.home() == everything
    await owner.synced()
    assert owner.home() == everything


def target(owner: Owner, type_: str) -> str:
    address = f'source = "{owner.sshd.url("")}"\nidentity_file = "{owner.sshd.identity}"\n'
    return f'[[target]]\nname = "box"\ntype = "{type_}"\n{address}dest = "{owner.root}/media/box"\n'


def test_probe_and_once_on_a_box_that_has_everything(owner: Owner) -> None:
    """By the real commands."""
    for tree in ALL:
        tree.build(owner.disk)
    told = owner.command()
    blocks = told[told.index("[[target]]") :]
    assert blocks.count("[[target]]") == len(ALL)
    assert "/workspace/ComfyUI/output: it is the same folder as opt/ComfyUI/output" in told
    owner.paste(blocks)
    owner.sync_by_command()
    assert sorted(owner.home().values()) == sorted(content(path) for tree in ALL for path in tree.wanted.values())


async def test_names_stay_when_the_image_links_its_tree_into_the_workspace_later(owner: Owner) -> None:
    """Files came home as opt/ComfyUI/...; that another name leads there now brings nothing twice, and what is new goes beside."""
    comfyui("/opt/ComfyUI").build(owner.disk)
    owner.paste(target(owner, "vastai"))
    await owner.synced()
    before = owner.home()
    assert set(before) == {f"box/opt/ComfyUI/output/{path}" for path in comfyui("").wanted}
    (owner.disk / "workspace/ComfyUI").symlink_to("/opt/ComfyUI")
    (owner.disk / "opt/ComfyUI/output/new.txt").write_bytes(b"new")
    await owner.synced()
    assert owner.home() == before | {"box/opt/ComfyUI/output/new.txt": b"new"}


async def test_a_tree_of_a_program_may_be_a_link(owner: Owner) -> None:
    """One target of two trees, of which one is on other storage."""
    app, elsewhere = "/workspace/stable-diffusion-webui", "/workspace/storage/pictures"
    (owner.disk / elsewhere.strip("/")).mkdir(parents=True)
    (owner.disk / app.strip("/") / "log/images").mkdir(parents=True)
    (owner.disk / app.strip("/") / "outputs").symlink_to(elsewhere)
    (owner.disk / app.strip("/") / "log/images/log.csv").write_text("saved")
    (owner.disk / elsewhere.strip("/") / "00000-1.txt").write_text("prompt")
    told = await owner.probed()
    owner.paste(told[told.index("[[target]]") :])
    await owner.synced()
    assert owner.home() == {"a1111/outputs/00000-1.txt": b"prompt", "a1111/log/images/log.csv": b"saved"}


async def test_a_box_cannot_lead_forged_to_what_is_no_output(owner: Owner) -> None:
    (owner.disk / "root/.ssh").mkdir()
    (owner.disk / "root/.ssh/id").write_text("secret")
    (owner.disk / "workspace/ComfyUI").mkdir()
    (owner.disk / "workspace/ComfyUI/output").symlink_to("/root/.ssh")
    told = owner.command(status=1)
    assert "where forged follows no link" in told
    FOOOCUS.build(owner.disk)
    owner.paste(target(owner, "vastai"))
    (result,) = await owner.sync()
    assert not result.success
    assert any("where forged follows no link" in problem.message for problem in result.tally.problems)
    assert set(owner.home()) == {f"box/Fooocus/outputs/{path}" for path in FOOOCUS.wanted}


@pytest.mark.parametrize("scheme", ["sftp", "ssh"])
async def test_a_box_of_sftp_alone_is_probed_and_synced(box: tuple[Sshd, Path], tmp_path: Path, scheme: str) -> None:
    """In a chroot, where nothing tells the time. One program of one tree, one of two, and a linked one."""
    jail = Path("/run") / f"forged-probed-{os.getpid()}"  # sshd wants every folder above it to be root's alone
    jail.mkdir(mode=0o755)
    try:
        trees = (a1111("/workspace/stable-diffusion-webui"), AI_DOCK, FOOOCUS)
        for tree in trees:
            tree.build(jail)
        with sshd(f"ForceCommand internal-sftp\nChrootDirectory {jail}") as server:
            owner = Owner(server, jail, tmp_path)
            told = await owner.probed(server.url("").replace("ssh://", f"{scheme}://"))
            owner.paste(told[told.index("[[target]]") :])
            for _ in range(2):
                await owner.synced()
                assert sorted(owner.home().values()) == sorted(content(path) for tree in trees for path in tree.wanted.values())
        assert "clock      not told" in told
    finally:
        shutil.rmtree(jail)


async def test_a_local_folder_is_probed_and_synced_alike(owner: Owner) -> None:
    tree = a1111("/workspace/stable-diffusion-webui")
    tree.build(owner.disk)
    told = await owner.probed(f"{owner.disk}/workspace")
    owner.paste(told[told.index("[[target]]") :])
    await owner.synced()
    assert owner.home() == expected("a1111", tree)
