"""Is this the right box? The three policies of `host_key`, decided on nothing but what was known before connecting.

asyncssh asks its client object about a key that is not among the trusted ones, synchronously and in the middle of the key
exchange. So what is pinned or known is looked up before, the verdict is a plain comparison, and pinning comes after login: a
box that refused our user key was perhaps the wrong one, and remembering it would refuse the right one later.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import asyncssh

from forged.model.errors import HostKeyChanged, HostKeyUnknown, SourceError
from forged.model.manifest import HostKeyPin, ManifestName, PinKeeper

PLAIN_ALGORITHMS = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
"""What we ask for, in the order of OpenSSH 9's own client, without certificates (only known_hosts can judge those), hardware
keys (no server has one) and ssh-rsa with SHA-1 (off in OpenSSH since 8.8)."""

FINGERPRINT = re.compile(r"SHA256:[A-Za-z0-9+/]{43}")
"""As `ssh-keygen -l` shows it: base64 of 32 bytes without padding."""

KnownKeys = tuple[Sequence[asyncssh.SSHKey], Sequence[asyncssh.SSHKey], Sequence[asyncssh.SSHKey]]
"""Trusted keys, trusted authorities, revoked keys: what asyncssh takes as the answer of a known_hosts function."""


def described(key: asyncssh.SSHKey) -> str:
    """`ssh-ed25519 SHA256:...`"""
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


def algorithms_first(keys: Sequence[asyncssh.SSHKey]) -> list[str]:
    """PLAIN_ALGORITHMS with those of `keys` in front: a box with several host keys then shows the one we know."""
    wanted = [algorithm.decode("ascii") for key in keys for algorithm in key.sig_algorithms]
    first = [algorithm for algorithm in PLAIN_ALGORITHMS if algorithm in wanted]
    return first + [algorithm for algorithm in PLAIN_ALGORITHMS if algorithm not in first]


class HostKeyRule(Protocol):
    """What one connection expects of the host key. Made anew for every connection."""

    algorithms: Sequence[str]
    """Which kinds of key to ask for, best first."""

    def known(self, host: str, address: str, port: int | None) -> KnownKeys:
        """What is trusted and what is revoked, for asyncssh."""

    def accepts(self, key: asyncssh.SSHKey) -> bool:
        """Whether a key that is not among the trusted ones will do."""

    def refusal(self, key: asyncssh.SSHKey | None, place: str, reason: str) -> SourceError:
        """The error for a refused key; None when asyncssh refused by itself (revoked, a certificate), for `reason`."""


def _not_verified(place: str, reason: str) -> SourceError:
    return HostKeyUnknown(f"{place}: {reason}", hint="the key is marked as revoked, or its certificate does not hold")


@dataclass(slots=True)
class Pinned:
    """`pin`: the key of the first use, and from then on only that one."""

    pin: HostKeyPin | None
    target: str
    algorithms: Sequence[str] = field(init=False)
    _key: asyncssh.SSHKey | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        if self.pin:
            self._key = asyncssh.import_public_key(self.pin.key)
        self.algorithms = algorithms_first([self._key] if self._key else [])

    def known(self, host: str, address: str, port: int | None) -> KnownKeys:
        return [], [], []

    def accepts(self, key: asyncssh.SSHKey) -> bool:
        return self._key is None or key == self._key

    def refusal(self, key: asyncssh.SSHKey | None, place: str, reason: str) -> SourceError:
        if key is None or self.pin is None:
            return _not_verified(place, reason)
        cure = f"forgectl trust {self.target or 'TARGET'} {key.get_fingerprint()}"
        return HostKeyChanged(
            f"{place} shows the host key {described(key)}, but {self.pin.fingerprint} was pinned",
            hint=f"if the box was rebuilt: `{cure}`; otherwise someone may be in between",
        )


@dataclass(slots=True)
class Exactly:
    """`SHA256:...`: this fingerprint and no other."""

    fingerprint: str
    algorithms: Sequence[str] = PLAIN_ALGORITHMS

    def known(self, host: str, address: str, port: int | None) -> KnownKeys:
        return [], [], []

    def accepts(self, key: asyncssh.SSHKey) -> bool:
        return key.get_fingerprint() == self.fingerprint

    def refusal(self, key: asyncssh.SSHKey | None, place: str, reason: str) -> SourceError:
        if key is None:
            return _not_verified(place, reason)
        return HostKeyUnknown(f"{place} shows the host key {described(key)}, but host_key says {self.fingerprint}")


@dataclass(slots=True)
class KnownHosts:
    """`known_hosts`: what ssh itself would accept without asking: hashed names, [host]:port, @revoked and @cert-authority lines."""

    hosts: asyncssh.SSHKnownHosts
    algorithms: Sequence[str]
    _trusted: Sequence[asyncssh.SSHKey] = ()

    @classmethod
    def read(cls, files: Sequence[Path], host: str, port: int) -> KnownHosts:
        """Reads the files that are there. Raises HostKeyUnknown for one that cannot be read, or a broken @revoked line."""
        hosts = asyncssh.SSHKnownHosts()
        for path in files:
            try:
                _load(hosts, path.read_text(errors="replace"))
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                raise HostKeyUnknown(f"{path}: {error}", hint='mend the file, or use host_key = "pin"') from error
        trusted, authorities, *_ = hosts.match(host, "", _unless_default(port))
        first = ["ssh-ed25519-cert-v01@openssh.com", "rsa-sha2-512-cert-v01@openssh.com"] if authorities else []
        return cls(hosts, first + algorithms_first(trusted))

    def known(self, host: str, address: str, port: int | None) -> KnownKeys:
        trusted, authorities, revoked, *_ = self.hosts.match(host, address, port)
        self._trusted = trusted
        return trusted, authorities, revoked

    def accepts(self, key: asyncssh.SSHKey) -> bool:
        return False

    def refusal(self, key: asyncssh.SSHKey | None, place: str, reason: str) -> SourceError:
        if key is None:
            return _not_verified(place, reason)
        if self._trusted:
            known = ", ".join(map(described, self._trusted))
            return HostKeyChanged(
                f"{place} shows the host key {described(key)}, but known_hosts says {known}",
                hint="if the box was rebuilt: `ssh-keygen -R`, then accept its new key; otherwise someone may be in between",
            )
        hint = "connect once with ssh and compare the fingerprint, or set host_key"
        return HostKeyUnknown(f"{place} shows the host key {described(key)}, which is not in known_hosts", hint=hint)


def _load(hosts: asyncssh.SSHKnownHosts, text: str) -> None:
    """Adds the lines of a known_hosts file. A line that cannot be understood trusts nobody, so it is passed over as ssh does;
    but one with a marker may revoke a key, and that must not get lost."""
    for line in text.splitlines():
        try:
            hosts.load(line)
        except ValueError:
            if line.lstrip().startswith("@"):
                raise


def _unless_default(port: int) -> int | None:
    return None if port == 22 else port


def new_pin(key: asyncssh.SSHKey, now_ns: int) -> HostKeyPin:
    """The pin of a key, in OpenSSH's one-line form."""
    return HostKeyPin(key.export_public_key("openssh").decode("ascii").strip(), key.get_fingerprint(), now_ns)


class ForgetfulPins:
    """A PinKeeper that lives as long as the process: for `forged probe`, and for tests."""

    def __init__(self) -> None:
        self.pins: dict[ManifestName, HostKeyPin] = {}

    async def pinned(self, name: ManifestName) -> HostKeyPin | None:
        return self.pins.get(name)

    async def pin(self, name: ManifestName, pin: HostKeyPin) -> None:
        self.pins[name] = pin


async def rule_for(
    policy: str, pins: PinKeeper, name: ManifestName, files: Sequence[Path], host: str, port: int, *, target: str = ""
) -> HostKeyRule:
    """The rule of one connection. Raises HostKeyUnknown for a policy that is none of the three. `target` is its name in advice."""
    if policy == "pin":
        try:
            return Pinned(await pins.pinned(name), target)
        except asyncssh.KeyImportError as error:
            raise HostKeyUnknown("the pinned host key cannot be read", hint=HostKeyChanged.default_hint) from error
    if policy == "known_hosts":
        return KnownHosts.read(files, host, port)
    if FINGERPRINT.fullmatch(policy):
        return Exactly(policy)
    raise HostKeyUnknown(f"host_key = {policy!r} is neither `pin`, `known_hosts` nor a fingerprint")
