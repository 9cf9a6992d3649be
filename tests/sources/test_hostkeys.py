"""The three policies of `host_key`, against real servers: what is accepted, what is refused, and what the message says."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import asyncssh
import pytest

from forged.model.errors import AuthRefused, HostKeyChanged, HostKeyUnknown
from forged.model.manifest import HostKeyPin
from forged.model.observer import HostKeyPinned
from forged.model.target import SshOptions
from forged.sources.hostkeys import PLAIN_ALGORITHMS, ForgetfulPins, algorithms_first, new_pin, rule_for
from tests.support.ssh import NAME, Ears, door, logs_in
from tests.support.sshd import Sshd, fingerprint, make_key
from tests.support.sshd import sshd as running_sshd


@pytest.fixture
def own_sshd() -> Iterator[Sshd]:
    with running_sshd() as server:
        yield server


def options(server: Sshd, host_key: str) -> SshOptions:
    return SshOptions(identity_file=server.identity, host_key=host_key)


def known_hosts(home: Path, text: str) -> Path:
    path = home / ".ssh" / "known_hosts"
    path.write_text(text)
    return path


async def test_the_first_key_is_pinned_and_reported_and_then_recognized(sshd: Sshd, away_from_home: Path) -> None:
    pins, ears = ForgetfulPins(), Ears()
    await logs_in(door(sshd, away_from_home, pins=pins, ears=ears))
    pin = pins.pins[NAME]
    assert pin.fingerprint == sshd.fingerprint
    assert pin.key.split() == sshd.host_key.read_text().split()[:2]
    await logs_in(door(sshd, away_from_home, pins=pins, ears=ears))
    assert ears.pinned == [HostKeyPinned("t", sshd.fingerprint)]
    assert pins.pins[NAME] is pin


async def test_another_key_than_the_pinned_one_is_refused_with_both_fingerprints(own_sshd: Sshd, away_from_home: Path) -> None:
    pins, old = ForgetfulPins(), own_sshd.fingerprint
    await logs_in(door(own_sshd, away_from_home, pins=pins))
    own_sshd.new_host_key()
    own_sshd.restart()
    with pytest.raises(HostKeyChanged) as caught:
        await logs_in(door(own_sshd, away_from_home, pins=pins))
    assert old in caught.value.message
    assert own_sshd.fingerprint in caught.value.message
    assert f"`forgectl trust t {own_sshd.fingerprint}`" in caught.value.hint
    assert not caught.value.transient
    assert pins.pins[NAME].fingerprint == old


async def test_a_box_that_refused_our_user_key_is_not_pinned(sshd: Sshd, away_from_home: Path) -> None:
    pins, stranger = ForgetfulPins(), make_key(away_from_home / "stranger")
    with pytest.raises(AuthRefused):
        await logs_in(door(sshd, away_from_home, SshOptions(identity_file=stranger), pins=pins))
    assert pins.pins == {}


async def test_two_first_uses_at_once_pin_one_key(sshd: Sshd, away_from_home: Path) -> None:
    pins, ears = ForgetfulPins(), Ears()
    shared = door(sshd, away_from_home, pins=pins, ears=ears)
    await asyncio.gather(logs_in(shared), logs_in(shared), logs_in(shared))
    assert len(ears.pinned) == 1


@pytest.mark.parametrize("kind", ["rsa", "ecdsa", "ed25519"])
async def test_a_box_with_several_keys_is_recognized_by_whichever_was_pinned(kind: str, away_from_home: Path) -> None:
    with running_sshd(host_key_kinds=("ed25519", "ecdsa", "rsa")) as server:
        public = asyncssh.read_public_key(server.folder / f"host_{kind}.pub")
        pins = ForgetfulPins()
        pins.pins[NAME] = new_pin(public, 0)
        await logs_in(door(server, away_from_home, pins=pins))
        known_hosts(away_from_home, f"[127.0.0.1]:{server.port} {public.export_public_key('openssh').decode()}")
        await logs_in(door(server, away_from_home, options(server, "known_hosts")))


async def test_a_pin_that_cannot_be_read_lets_nobody_in(sshd: Sshd, away_from_home: Path) -> None:
    pins = ForgetfulPins()
    pins.pins[NAME] = HostKeyPin("ssh-ed25519 garbage", "SHA256:x", 0)
    with pytest.raises(HostKeyUnknown, match="cannot be read"):
        await logs_in(door(sshd, away_from_home, pins=pins))


async def test_the_given_fingerprint_is_enough(sshd: Sshd, away_from_home: Path) -> None:
    pins = ForgetfulPins()
    await logs_in(door(sshd, away_from_home, options(sshd, sshd.fingerprint), pins=pins))
    assert pins.pins == {}


async def test_another_fingerprint_than_the_given_one_is_refused(sshd: Sshd, away_from_home: Path, tmp_path: Path) -> None:
    wanted = fingerprint(make_key(tmp_path / "other").with_suffix(".pub"))
    with pytest.raises(HostKeyUnknown) as caught:
        await logs_in(door(sshd, away_from_home, options(sshd, wanted)))
    assert wanted in caught.value.message
    assert sshd.fingerprint in caught.value.message


async def test_known_hosts_knows_a_host_with_its_port(sshd: Sshd, away_from_home: Path) -> None:
    known_hosts(away_from_home, sshd.known_hosts_line())
    await logs_in(door(sshd, away_from_home, options(sshd, "known_hosts")))


async def test_known_hosts_knows_hashed_names(sshd: Sshd, away_from_home: Path) -> None:
    path = known_hosts(away_from_home, sshd.known_hosts_line())
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", str(path)], check=True, capture_output=True)
    assert path.read_text().startswith("|1|")
    await logs_in(door(sshd, away_from_home, options(sshd, "known_hosts")))


async def test_a_host_that_known_hosts_does_not_know_is_refused(sshd: Sshd, away_from_home: Path) -> None:
    with pytest.raises(HostKeyUnknown) as caught:
        await logs_in(door(sshd, away_from_home, options(sshd, "known_hosts")))
    assert sshd.fingerprint in caught.value.message


async def test_a_key_that_known_hosts_contradicts_is_refused_with_both_fingerprints(
    sshd: Sshd, away_from_home: Path, tmp_path: Path
) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub")
    known_hosts(away_from_home, f"[127.0.0.1]:{sshd.port} {other.read_text()}")
    with pytest.raises(HostKeyChanged) as caught:
        await logs_in(door(sshd, away_from_home, options(sshd, "known_hosts")))
    assert fingerprint(other) in caught.value.message
    assert sshd.fingerprint in caught.value.message


async def test_a_revoked_key_is_refused_although_it_is_known(sshd: Sshd, away_from_home: Path) -> None:
    key = " ".join(sshd.host_key.read_text().split()[:2])
    known_hosts(away_from_home, f"{sshd.known_hosts_line()}@revoked * {key}\n")
    with pytest.raises(HostKeyUnknown, match="revoked"):
        await logs_in(door(sshd, away_from_home, options(sshd, "known_hosts")))


async def test_a_host_certificate_of_a_known_authority_is_accepted(away_from_home: Path, tmp_path: Path) -> None:
    authority = make_key(tmp_path / "ca")
    with running_sshd() as server:
        sign = ["ssh-keygen", "-q", "-s", str(authority), "-I", "box", "-h", "-n", "127.0.0.1", str(server.host_key)]
        subprocess.run(sign, check=True, capture_output=True)
        server.extra = f"HostCertificate {server.folder}/host_ed25519-cert.pub"
        server.restart()
        known_hosts(away_from_home, f"@cert-authority * {authority.with_suffix('.pub').read_text()}")
        await logs_in(door(server, away_from_home, options(server, "known_hosts")))
        await logs_in(door(server, away_from_home, options(server, "pin")))


async def test_a_broken_line_of_known_hosts_is_passed_over_but_not_a_broken_revocation(sshd: Sshd, away_from_home: Path) -> None:
    known_hosts(away_from_home, f"nonsense\n{sshd.known_hosts_line()}")
    await logs_in(door(sshd, away_from_home, options(sshd, "known_hosts")))
    known_hosts(away_from_home, f"@revoked\n{sshd.known_hosts_line()}")
    with pytest.raises(HostKeyUnknown):
        await logs_in(door(sshd, away_from_home, options(sshd, "known_hosts")))


@pytest.mark.parametrize("policy", ["", "no", "SHA256:short", "sha256:" + "A" * 43, "MD5:00"])
async def test_a_policy_that_is_none_of_the_three_lets_nobody_in(policy: str) -> None:
    with pytest.raises(HostKeyUnknown, match="neither"):
        await rule_for(policy, ForgetfulPins(), NAME, (), "host", 22)


def test_the_kind_of_a_known_key_is_asked_for_first_and_the_others_after_it() -> None:
    rsa = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    asked = algorithms_first([rsa])
    assert asked[:2] == ["rsa-sha2-512", "rsa-sha2-256"]
    assert sorted(asked) == sorted(PLAIN_ALGORITHMS)
