"""A box is looked at once, and the block that `forged probe` prints is one that forged loads and syncs by."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from forged.cli.probe import clock, report, unique
from forged.config.address import parse_source
from forged.config.load import load
from forged.config.presets import KnownFolder
from forged.daemon.probe import Findings, Found, Probe, expanded, type_of
from forged.model.errors import NotSupported, SourceUnreachable
from forged.model.target import SshOptions, TargetType
from tests.support.sshd import Sshd, sshd


@pytest.fixture(scope="module")
def box() -> Iterator[Sshd]:
    with sshd() as server:
        yield server


@pytest.fixture
def outputs(tmp_path: Path) -> Path:
    """ComfyUI's folder is a link, Forge's is empty, Fooocus's is not there."""
    real = tmp_path / "disk"
    (real / "video").mkdir(parents=True)
    (real / "ComfyUI_00001_.png").write_bytes(b"x" * 1000)
    (real / "video" / "ComfyUI_00001_.mp4").write_bytes(b"x" * 500)
    (tmp_path / "ComfyUI").mkdir()
    (tmp_path / "ComfyUI" / "output").symlink_to(real)
    (tmp_path / "stable-diffusion-webui-forge" / "outputs").mkdir(parents=True)
    return tmp_path


def known(folder: Path) -> tuple[KnownFolder, ...]:
    return (
        KnownFolder(TargetType.FOOOCUS, f"{folder}/Fooocus/outputs"),
        KnownFolder(TargetType.COMFYUI, f"{folder}/ComfyUI/output"),
        KnownFolder(TargetType.FORGE, f"{folder}/stable-diffusion-webui-forge/outputs"),
        KnownFolder(TargetType.INVOKEAI, "/no/such/InvokeAI*/outputs"),
    )


def probe(box: Sshd, path: str = "", folder: Path | None = None) -> Probe:
    ssh = SshOptions(identity_file=box.identity)
    return Probe(parse_source(box.url(path)), ssh, box.folder, known=known(folder) if folder else None)


async def test_it_finds_the_folders_that_are_there_and_what_is_in_them(box: Sshd, outputs: Path) -> None:
    findings = await probe(box, folder=outputs).look()
    assert [(one.type, one.path, one.files, one.size_bytes, one.cut) for one in findings.folders] == [
        (TargetType.COMFYUI, f"{outputs}/ComfyUI/output", 2, 1500, False),
        (TargetType.FORGE, f"{outputs}/stable-diffusion-webui-forge/outputs", 0, 0, False),
    ]
    assert findings.fingerprint == box.fingerprint
    assert findings.transport.startswith("ssh agent (python 3.")
    assert abs(findings.clock_skew_s) < 60
    assert findings.folders[0].free_bytes > 0


async def test_the_printed_block_loads_as_it_is(box: Sshd, outputs: Path, tmp_path: Path) -> None:
    findings = await probe(box, folder=outputs).look()
    lines = [one.text for one in report(findings)]
    file = tmp_path / "forged.toml"
    file.write_text("\n".join(lines[lines.index("[[target]]") :]))
    config = load(file, {"HOME": str(tmp_path), "XDG_RUNTIME_DIR": str(tmp_path)}, is_root=False)
    assert [(one.name, one.type, str(one.source)) for one in config.targets] == [
        ("comfyui", TargetType.COMFYUI, box.url(f"{outputs}/ComfyUI/output")),
        ("forge", TargetType.FORGE, box.url(f"{outputs}/stable-diffusion-webui-forge/outputs")),
    ]
    assert {(one.ssh.host_key, one.ssh.identity_file, str(one.home.dest.parent)) for one in config.targets} == {
        (box.fingerprint, box.identity, f"{tmp_path}/media")
    }


async def test_a_folder_that_was_named_is_the_only_one_looked_at(box: Sshd, outputs: Path) -> None:
    findings = await probe(box, f"{outputs}/disk/video").look()
    assert [(one.type, one.path, one.files) for one in findings.folders] == [(TargetType.GENERIC, f"{outputs}/disk/video", 1)]
    assert any('name = "disk"' in one.text for one in report(findings))


async def test_nothing_found_says_what_to_do(box: Sshd, outputs: Path) -> None:
    findings = await probe(box, f"{outputs}/nowhere").look()
    assert findings.folders == ()
    assert f"forged probe {box.url('/path/of/the/outputs')}" in report(findings)[-1].text


async def test_a_box_that_is_not_there_is_an_error_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable) as raised:
        await Probe(parse_source("ssh://root@127.0.0.1:1"), SshOptions(), tmp_path).look()
    assert raised.value.hint


async def test_only_ssh_can_be_probed(tmp_path: Path) -> None:
    with pytest.raises(NotSupported):
        await Probe(parse_source("docker://box/path"), SshOptions(), tmp_path).look()


def test_patterns_become_names_that_can_be_looked_at() -> None:
    assert list(expanded("/home/*/InvokeAI*/outputs", "/home/me")) == ["/home/me/InvokeAI/outputs"]
    assert list(expanded("/home/*/x", None)) == []
    assert list(expanded("/workspace/x", None)) == ["/workspace/x"]


def test_a_path_tells_the_program() -> None:
    assert type_of("/data/ComfyUI/output") is TargetType.COMFYUI
    assert type_of("/data/pictures") is TargetType.GENERIC


def findings(*folders: Found) -> Findings:
    return Findings(
        parse_source("ssh://root@[fd00::1]:22"), SshOptions(), "SHA256:x", "ssh agent (python 3.10)", -90.0, folders, ()
    )


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
