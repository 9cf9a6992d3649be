"""Logging in as a user of ssh expects: which keys are tried, from where, and what is said when none will do."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from forged.model.errors import AuthRefused, HostKeyUnknown, SourceError, SourceUnreachable
from forged.model.target import SourceAddress, SourceKind, SshOptions
from tests.support.ssh import address, door, logs_in, ssh_agent
from tests.support.sshd import Sshd, make_key
from tests.support.sshd import sshd as running_sshd

Monkey = pytest.MonkeyPatch


def copy_key(server: Sshd, path: Path) -> Path:
    """The server's own key under another name."""
    path.write_bytes(server.identity.read_bytes())
    path.chmod(0o600)
    return path


@pytest.fixture
def locked(sshd: Sshd, tmp_path: Path) -> Path:
    """An encrypted key that may log in; its passphrase is `sesam`."""
    key = make_key(tmp_path / "locked", passphrase="sesam")
    sshd.authorize(key.with_suffix(".pub"))
    return key


def unlocked_agent(tmp_path: Path, locked: Path):  # type: ignore[no-untyped-def]
    """An ssh-agent that holds the locked key; ssh-add gets an unlocked copy, since nobody is there to type."""
    copy = tmp_path / "copy"
    copy.write_bytes(locked.read_bytes())
    copy.chmod(0o600)
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "sesam", "-N", "", "-f", str(copy)], check=True, capture_output=True)
    return ssh_agent(tmp_path, copy)


async def test_the_default_key_of_the_ssh_folder_is_tried(sshd: Sshd, away_from_home: Path) -> None:
    copy_key(sshd, away_from_home / ".ssh" / "id_ed25519")
    await logs_in(door(sshd, away_from_home, SshOptions()))


async def test_a_broken_default_key_does_not_hide_the_good_one(sshd: Sshd, away_from_home: Path) -> None:
    (away_from_home / ".ssh" / "id_rsa").write_text("not a key")
    copy_key(sshd, away_from_home / ".ssh" / "id_ed25519")
    await logs_in(door(sshd, away_from_home, SshOptions()))


async def test_without_any_key_the_hint_says_where_one_could_come_from(sshd: Sshd, away_from_home: Path) -> None:
    with pytest.raises(AuthRefused, match="no key") as caught:
        await logs_in(door(sshd, away_from_home, SshOptions()))
    assert "identity_file" in caught.value.hint
    assert not caught.value.transient


async def test_a_folder_of_keys_that_does_not_exist_is_no_error_of_its_own(sshd: Sshd, tmp_path: Path) -> None:
    await logs_in(door(sshd, tmp_path / "nowhere"))


async def test_a_refused_key_is_named_with_the_user_who_tried_it(sshd: Sshd, away_from_home: Path) -> None:
    stranger = make_key(away_from_home / "stranger")
    with pytest.raises(AuthRefused) as caught:
        await logs_in(door(sshd, away_from_home, SshOptions(identity_file=stranger)))
    assert str(stranger) in caught.value.message
    assert f"{sshd.user}@127.0.0.1" in caught.value.message


async def test_with_identity_file_no_other_key_is_tried(sshd: Sshd, away_from_home: Path, monkeypatch: Monkey) -> None:
    stranger = make_key(away_from_home / "stranger")
    copy_key(sshd, away_from_home / ".ssh" / "id_ed25519")
    with ssh_agent(away_from_home, sshd.identity) as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        with pytest.raises(AuthRefused):
            await logs_in(door(sshd, away_from_home, SshOptions(identity_file=stranger)))


async def test_an_identity_file_that_is_missing_or_no_key_is_said_to_be_so(sshd: Sshd, away_from_home: Path) -> None:
    with pytest.raises(AuthRefused, match="cannot be read"):
        await logs_in(door(sshd, away_from_home, SshOptions(identity_file=away_from_home / "missing")))
    with pytest.raises(AuthRefused, match="no usable private key"):
        await logs_in(door(sshd, away_from_home, SshOptions(identity_file=sshd.folder / "sshd_config")))


async def test_the_keys_of_an_ssh_agent_are_tried(sshd: Sshd, away_from_home: Path, monkeypatch: Monkey) -> None:
    with ssh_agent(away_from_home, sshd.identity) as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        await logs_in(door(sshd, away_from_home, SshOptions()))


async def test_a_dead_agent_socket_is_as_good_as_none(sshd: Sshd, away_from_home: Path, monkeypatch: Monkey) -> None:
    copy_key(sshd, away_from_home / ".ssh" / "id_ed25519")
    monkeypatch.setenv("SSH_AUTH_SOCK", str(away_from_home / "no.sock"))
    await logs_in(door(sshd, away_from_home, SshOptions()))


async def test_a_passphrase_file_opens_an_encrypted_key(sshd: Sshd, away_from_home: Path, locked: Path) -> None:
    (away_from_home / "pass").write_text("sesam\n")
    await logs_in(door(sshd, away_from_home, SshOptions(identity_file=locked, passphrase_file=away_from_home / "pass")))


async def test_an_encrypted_key_without_a_passphrase_asks_for_passphrase_file(
    sshd: Sshd, away_from_home: Path, locked: Path
) -> None:
    with pytest.raises(AuthRefused, match="encrypted") as caught:
        await logs_in(door(sshd, away_from_home, SshOptions(identity_file=locked)))
    assert "passphrase_file" in caught.value.hint


async def test_a_wrong_or_missing_passphrase_is_said_and_not_shown(sshd: Sshd, away_from_home: Path, locked: Path) -> None:
    wrong = away_from_home / "pass"
    wrong.write_text("simsala")
    with pytest.raises(AuthRefused, match="does not open") as caught:
        await logs_in(door(sshd, away_from_home, SshOptions(identity_file=locked, passphrase_file=wrong)))
    assert "simsala" not in str(caught.value)
    with pytest.raises(AuthRefused, match="passphrase_file"):
        await logs_in(door(sshd, away_from_home, SshOptions(identity_file=locked, passphrase_file=away_from_home / "no")))


async def test_an_encrypted_identity_that_the_agent_holds_needs_no_passphrase(
    sshd: Sshd, away_from_home: Path, locked: Path, monkeypatch: Monkey
) -> None:
    with unlocked_agent(away_from_home, locked) as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        await logs_in(door(sshd, away_from_home, SshOptions(identity_file=locked)))
        locked.with_suffix(".pub").unlink()
        await logs_in(door(sshd, away_from_home, SshOptions(identity_file=locked)))


async def test_an_encrypted_default_key_is_named_among_the_untried(sshd: Sshd, away_from_home: Path) -> None:
    make_key(away_from_home / ".ssh" / "id_ed25519", passphrase="sesam")
    with pytest.raises(AuthRefused, match=r"id_ed25519 not tried: a passphrase"):
        await logs_in(door(sshd, away_from_home, SshOptions()))


async def test_an_alias_of_the_ssh_config_gives_host_port_user_and_key(sshd: Sshd, away_from_home: Path) -> None:
    copy_key(sshd, away_from_home / "box key")
    config = f'Host box\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {sshd.user}\n  IdentityFile "~/box key"\n'
    (away_from_home / ".ssh" / "config").write_text(config)
    await logs_in(door(SourceAddress(SourceKind.SSH, "/", "box"), away_from_home))


async def test_the_address_wins_over_the_ssh_config(sshd: Sshd, away_from_home: Path) -> None:
    (away_from_home / ".ssh" / "config").write_text("Host *\n  Port 1\n  User nobody-at-all\n")
    await logs_in(door(sshd, away_from_home))


async def test_a_key_file_of_the_ssh_config_that_is_missing_is_passed_over(sshd: Sshd, away_from_home: Path) -> None:
    key = copy_key(sshd, away_from_home / "key")
    (away_from_home / ".ssh" / "config").write_text(f"Host *\n  IdentityFile ~/missing\n  IdentityFile {key}\n")
    await logs_in(door(sshd, away_from_home, SshOptions()))


async def test_identities_only_keeps_the_other_keys_of_the_agent_out(sshd: Sshd, away_from_home: Path, monkeypatch: Monkey) -> None:
    stranger = make_key(away_from_home / "stranger")
    (away_from_home / ".ssh" / "config").write_text(f"Host *\n  IdentityFile {stranger}\n  IdentitiesOnly yes\n")
    with ssh_agent(away_from_home, sshd.identity) as socket:
        monkeypatch.setenv("SSH_AUTH_SOCK", socket)
        with pytest.raises(AuthRefused) as caught:
            await logs_in(door(sshd, away_from_home, SshOptions()))
    assert str(stranger) in caught.value.message


async def test_a_config_that_cannot_be_understood_says_so(sshd: Sshd, away_from_home: Path) -> None:
    (away_from_home / ".ssh" / "config").write_text("Host *\n  Port many\n")
    with pytest.raises(SourceError, match="ssh config"):
        await logs_in(door(sshd, away_from_home))


async def test_a_user_certificate_beside_the_key_is_used(away_from_home: Path) -> None:
    authority, key = make_key(away_from_home / "ca"), make_key(away_from_home / ".ssh" / "id_ed25519")
    with running_sshd(f"TrustedUserCAKeys {authority}.pub") as server:
        sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "me", "-n", server.user, f"{key}.pub"]
        subprocess.run(sign, check=True, capture_output=True)
        await logs_in(door(server, away_from_home, SshOptions()))


async def test_a_jump_host_is_gone_through_and_held_to_known_hosts(sshd: Sshd, away_from_home: Path) -> None:
    with running_sshd() as hidden:
        key = copy_key(sshd, away_from_home / ".ssh" / "id_ed25519")
        hidden.authorize(sshd.identity.with_suffix(".pub"))
        jump = f"Host 127.0.0.1 jump\n  IdentityFile {key}\nHost behind\n  HostName 127.0.0.1\n  ProxyJump jump\n"
        way = f"Host jump\n  HostName 127.0.0.1\n  Port {sshd.port}\n  User {sshd.user}\n"
        (away_from_home / ".ssh" / "config").write_text(jump + way)
        behind = door(address(hidden, host="behind"), away_from_home, SshOptions())
        with pytest.raises(HostKeyUnknown, match=str(sshd.port)):
            await logs_in(behind)
        (away_from_home / ".ssh" / "known_hosts").write_text(sshd.known_hosts_line())
        before = sshd.log().count("Accepted publickey")
        await logs_in(behind)
        assert sshd.log().count("Accepted publickey") == before + 1


async def test_a_jump_host_that_jumps_over_itself_is_noticed(sshd: Sshd, away_from_home: Path) -> None:
    (away_from_home / ".ssh" / "config").write_text("Host *\n  ProxyJump circle\n")
    with pytest.raises(SourceError, match="circle"):
        await logs_in(door(sshd, away_from_home))


async def test_a_jump_host_that_may_not_go_on_makes_the_box_unreachable(sshd: Sshd, away_from_home: Path) -> None:
    copy_key(sshd, away_from_home / ".ssh" / "id_ed25519")
    (away_from_home / ".ssh" / "known_hosts").write_text(sshd.known_hosts_line())
    jump = f"Host behind\n  HostName 127.0.0.1\n  ProxyJump {sshd.user}@127.0.0.1:{sshd.port}\n"
    (away_from_home / ".ssh" / "config").write_text(jump)
    with pytest.raises(SourceUnreachable):
        await logs_in(door(address(sshd, host="behind", port=1), away_from_home))


async def test_a_proxy_command_of_the_ssh_config_is_used(sshd: Sshd, away_from_home: Path) -> None:
    script = away_from_home / "relay.py"
    script.write_text(
        "import os, socket, sys, threading\n"
        "line = socket.create_connection((sys.argv[1], int(sys.argv[2])))\n"
        "def up():\n"
        "    while data := os.read(0, 65536): line.sendall(data)\n"
        "threading.Thread(target=up, daemon=True).start()\n"
        "while data := line.recv(65536): os.write(1, data)\n"
    )
    (away_from_home / ".ssh" / "config").write_text(
        f"Host box\n  HostName 127.0.0.1\n  ProxyCommand /usr/bin/python3 {script} %h %p\n"
    )
    await logs_in(door(address(sshd, host="box"), away_from_home, SshOptions(identity_file=sshd.identity)))
