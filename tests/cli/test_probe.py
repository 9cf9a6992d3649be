"""A box is looked at once, and the block that `forged probe` prints is one that forged loads and syncs by."""

from pathlib import Path

import pytest

from forged.cli.probe import clock, lacking, report, unique
from forged.config.address import parse_source
from forged.config.load import load
from forged.config.programs import apps_below
from forged.daemon.finding import Candidate, candidates, choose
from forged.daemon.probe import Findings, Found, Probe
from forged.model.errors import SourceUnreachable
from forged.model.files import Problem, ProblemKind
from forged.model.places import Place
from forged.model.target import SshOptions, TargetType
from forged.sources.base import Capabilities
from tests.support.sshd import Sshd


@pytest.fixture
def box(sshd: Sshd) -> Sshd:
    return sshd


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """A folder with two programs: of ComfyUI only the link is unusual, Forge has no pictures yet."""
    real = tmp_path / "disk"
    (real / "video").mkdir(parents=True)
    (real / "ComfyUI_00001_.png").write_bytes(b"x" * 1000)
    (real / "ComfyUI_temp_abcde_00001_.png").write_bytes(b"x")
    (real / "video" / "ComfyUI_00001_.mp4").write_bytes(b"x" * 500)
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "stable-diffusion-webui-forge" / "outputs").mkdir(parents=True)
    (tmp_path / "ComfyUI" / "output").mkdir()
    for name in ("ComfyUI_00001_.png", "ComfyUI_temp_abcde_00001_.png", "video"):
        (real / name).rename(tmp_path / "ComfyUI" / "output" / name)
    return tmp_path


def probe(box: Sshd, path: str = "") -> Probe:
    return Probe(parse_source(box.url(path)), SshOptions(identity_file=box.identity), box.folder)


async def test_it_finds_the_programs_that_are_there_and_what_a_target_would_bring(box: Sshd, outputs: Path) -> None:
    findings = await probe(box, f"{outputs}").look()
    assert [(one.type, one.path, one.files, one.size_bytes, one.cut) for one in findings.folders] == [
        (TargetType.COMFYUI, f"{outputs}/ComfyUI/output", 2, 1500, False),
        (TargetType.FORGE, f"{outputs}/stable-diffusion-webui-forge", 0, 0, False),
    ]
    assert findings.fingerprint == box.fingerprint
    assert findings.capabilities.transport.startswith("ssh agent (python 3.")
    assert findings.clock_skew_s is not None
    assert abs(findings.clock_skew_s) < 60
    assert (findings.folders[0].free_bytes or 0) > 0


async def test_the_printed_block_loads_as_it_is(box: Sshd, outputs: Path, tmp_path: Path) -> None:
    findings = await probe(box, f"{outputs}").look()
    lines = [one.text for one in report(findings)]
    file = tmp_path / "forged.toml"
    file.write_text("\n".join(lines[lines.index("[[target]]") :]))
    config = load(file, {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}, is_root=False)
    assert [(one.name, one.type, str(one.source), one.selection.folders) for one in config.targets] == [
        ("comfyui", TargetType.COMFYUI, box.url(f"{outputs}/ComfyUI/output"), ()),
        ("forge", TargetType.FORGE, box.url(f"{outputs}/stable-diffusion-webui-forge"), ("outputs", "log/images")),
    ]
    assert {(one.ssh.host_key, one.ssh.identity_file, str(one.home.dest.parent)) for one in config.targets} == {
        (box.fingerprint, box.identity, f"{tmp_path}/media")
    }


async def test_a_folder_without_a_program_is_taken_as_it_is(box: Sshd, outputs: Path) -> None:
    findings = await probe(box, f"{outputs}/ComfyUI/output/video").look()
    assert [(one.type, one.path, one.files) for one in findings.folders] == [
        (TargetType.GENERIC, f"{outputs}/ComfyUI/output/video", 1)
    ]
    assert any('name = "output"' in one.text for one in report(findings))


async def test_the_outputs_or_the_folder_of_a_program_may_be_named(box: Sshd, outputs: Path) -> None:
    for path in ("ComfyUI", "ComfyUI/output"):
        (found,) = (await probe(box, f"{outputs}/{path}").look()).folders
        assert (found.type, found.path) == (TargetType.COMFYUI, f"{outputs}/ComfyUI/output")


async def test_a_local_folder_can_be_probed(outputs: Path) -> None:
    findings = await Probe(parse_source(str(outputs)), SshOptions(), outputs).look()
    text = [one.text for one in report(findings)]
    assert [one.type for one in findings.folders] == [TargetType.COMFYUI, TargetType.FORGE]
    assert f'source = "{outputs}/ComfyUI/output"' in text
    assert not any("host" in one for one in text)


async def test_nothing_found_says_what_to_do(box: Sshd, outputs: Path) -> None:
    findings = await probe(box, f"{outputs}/nowhere").look()
    assert findings.folders == ()
    assert f"forged probe {box.url('/path/of/the/outputs')}" in report(findings)[-1].text


async def test_a_box_that_is_not_there_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable) as raised:
        await Probe(parse_source("ssh://root@127.0.0.1:1"), SshOptions(), tmp_path).look()
    assert raised.value.hint


def chosen(looked_at: tuple[Candidate, ...], there: dict[str, str]) -> tuple[list[tuple[str, tuple[str, ...]]], list[bytes]]:
    """`there`: which paths exist, and what they really are."""
    paths = [path for candidate in looked_at for _, path in candidate.trees]
    absent = [Problem(path.encode(), ProblemKind.VANISHED, "no such folder") for path in paths]
    places = [Place(there[path].encode()) if path in there else none for path, none in zip(paths, absent, strict=True)]
    found, left_out = choose(looked_at, places)
    return [(one.path, one.trees) for one in found], [one.path for one in left_out]


BOX = parse_source("ssh://me@box")


def test_a_tree_that_two_paths_lead_to_is_found_where_it_is() -> None:
    there = dict.fromkeys(("/workspace/ComfyUI/output", "/opt/ComfyUI/output"), "/opt/ComfyUI/output")
    assert chosen(candidates(BOX), there) == ([("/opt/ComfyUI/output", ())], [b"/workspace/ComfyUI/output"])


def test_two_trees_of_one_program_are_one_target_even_if_one_is_still_to_come() -> None:
    app = "/workspace/stable-diffusion-webui"
    assert chosen(candidates(BOX), {f"{app}/outputs": f"{app}/outputs"})[0] == [(app, ("outputs", "log/images"))]


def test_a_tree_that_another_program_has_is_not_named_twice() -> None:
    """SwarmUI's backend is often linked to a ComfyUI that was there before."""
    comfy, swarm = "/workspace/ComfyUI/output", "/workspace/SwarmUI"
    there = {comfy: comfy, f"{swarm}/Output": f"{swarm}/Output", f"{swarm}/dlbackend/ComfyUI/output": comfy}
    found, left_out = chosen(candidates(BOX), there)
    assert found == [(comfy, ()), (swarm, ("Output", "dlbackend/comfy/ComfyUI/output"))]
    assert left_out == [f"{swarm}/dlbackend/ComfyUI/output".encode()]


def test_a_link_to_where_no_outputs_are_is_left_out_and_said() -> None:
    assert chosen(candidates(BOX), {"/workspace/ComfyUI/output": "/root/.ssh"}) == ([], [b"/workspace/ComfyUI/output"])


def test_a_logins_home_is_looked_into() -> None:
    assert {app.path for app in apps_below("/home/me")} <= {
        one.path.removesuffix("/output").removesuffix("/outputs") for one in candidates(BOX)
    }


CAN = Capabilities("ssh agent (python 3.10)", hashing=True, guarded_removal=True, watching=True)


def test_what_a_source_cannot_do_is_said() -> None:
    assert lacking(CAN) == []
    assert len(lacking(Capabilities("sftp", hashing=False, guarded_removal=False, watching=False, unguarded_removal=True))) == 3


def findings(*folders: Found) -> Findings:
    return Findings(parse_source("ssh://root@[fd00::1]:22"), SshOptions(), "SHA256:x", CAN, -90.0, folders, (), ())


def test_a_folder_where_the_type_expects_it_needs_no_path() -> None:
    text = [one.text for one in report(findings(Found(TargetType.COMFYUI, "/workspace/ComfyUI/output", 3, 1, 1, cut=True)))]
    assert 'source = "ssh://root@[fd00::1]:22"' in text
    assert any("more than 3 files" in one for one in text)


def test_a_hostile_path_is_harmless_in_the_block() -> None:
    text = [one.text for one in report(findings(Found(TargetType.GENERIC, '/x/a"\n[b]\x1b\udc80/o', 3, 1, 1)))]
    assert all(one.isprintable() for one in text)
    assert 'source = "ssh://root@[fd00::1]:22/x/a%22%0A%5Bb%5D%1B%80/o"' in text
    assert 'name = "a-b"' in text


def test_names_stay_apart() -> None:
    assert unique(["forge", "comfyui", "forge", "forge"]) == ["forge", "comfyui", "forge-2", "forge-3"]


def test_a_clock_that_is_off_is_mentioned() -> None:
    assert clock(0.3) == "agrees with ours"
    assert clock(-90).startswith("1 min 30 s behind ours")
    assert clock(7200).startswith("2 h ahead of ours")
