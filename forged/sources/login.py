"""Who logs in, where, and with which keys: what `ssh HOST` would do, from the same files, without ever asking a person.

Everything is read on purpose from the given ssh folder. asyncssh, left alone, also opens files in ~/.ssh when keys are given,
which fails under systemd's ProtectHome and would let tests see their author's keys.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncssh

from forged.model.errors import AuthRefused, SourceError
from forged.model.target import SshOptions

DEFAULT_KEYS = ("id_rsa", "id_ecdsa", "id_ed25519", "id_ed448")
"""The names ssh(1) tries, without DSA (gone from OpenSSH 10) and the *_sk ones, which want a finger on a token."""

NO_KEY_HINT = "set identity_file, start an ssh-agent ($SSH_AUTH_SOCK), or put a key into ~/.ssh"
CONFIG_HINT = "`ssh -G HOST` shows what ssh makes of it"
PASSPHRASE_HINT = "set passphrase_file, or add the key to an ssh-agent"


@dataclass(frozen=True, slots=True)
class SshHome:
    """Where a login looks for what belongs to its user."""

    ssh_dir: Path
    agent_socket: str | None

    @classmethod
    def of(cls, home: Path) -> SshHome:
        """`home`/.ssh and $SSH_AUTH_SOCK."""
        return cls(home / ".ssh", os.environ.get("SSH_AUTH_SOCK"))

    @property
    def config(self) -> list[str]:
        """The user's ssh config and the machine's, where they may be read: the first value found counts, as with ssh."""
        return [str(path) for path in (self.ssh_dir / "config", Path("/etc/ssh/ssh_config")) if os.access(path, os.R_OK)]


@dataclass(frozen=True, slots=True)
class Whereto:
    """Where a connection goes, once ~/.ssh/config has been heard."""

    name: str
    """The host as it was asked for: its section of the config holds more than is read here (ProxyCommand, Ciphers ...)."""
    host: str
    port: int
    user: str
    alias: str
    """The name that known_hosts knows it by."""
    jumps: tuple[str, ...]
    identity_files: tuple[Path, ...]
    certificate_files: tuple[Path, ...]
    identities_only: bool
    agent_socket: str | None
    known_hosts: tuple[Path, ...]

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}"


async def resolve(host: str, port: int | None, user: str | None, ssh_home: SshHome) -> Whereto:
    """What ssh would make of `[USER@]HOST[:PORT]`. Raises SourceError for an ssh config that cannot be understood."""
    try:
        return await asyncio.to_thread(_resolve, host, port, user, ssh_home)
    except (asyncssh.ConfigParseError, asyncssh.Error, OSError, ValueError) as error:
        raise SourceError(f"the ssh config cannot be used for {host}: {error}", hint=CONFIG_HINT) from error


def _resolve(host: str, port: int | None, user: str | None, ssh_home: SshHome) -> Whereto:
    options = asyncssh.SSHClientConnectionOptions(
        config=ssh_home.config,
        host=host,
        port=() if port is None else port,
        username=() if user is None else user,
        client_keys=None,
        agent_path=None,
        known_hosts=None,
        **NO_X509,
    )
    told = options.config
    own = [str(ssh_home.ssh_dir / "known_hosts"), str(ssh_home.ssh_dir / "known_hosts2")]
    known = told.get("UserKnownHostsFile", own), told.get("GlobalKnownHostsFile", ["/etc/ssh/ssh_known_hosts"])
    return Whereto(
        name=host,
        host=options.host,
        port=options.port,
        user=options.username,
        alias=options.host_key_alias or options.host,
        jumps=tuple(options.tunnel.split(",")) if isinstance(options.tunnel, str) else (),
        identity_files=_paths(told.get("IdentityFile")),
        certificate_files=_paths(told.get("CertificateFile")),
        identities_only=bool(told.get("IdentitiesOnly")),
        agent_socket=_socket(told.get("IdentityAgent", "SSH_AUTH_SOCK"), ssh_home),
        known_hosts=_paths(known[0]) + _paths(known[1]),
    )


NO_X509: Mapping[str, Any] = {"x509_trusted_certs": None, "x509_trusted_cert_paths": []}
"""Keeps asyncssh from looking for X.509 certificates in ~/.ssh. (Any: these are keyword arguments of many types.)"""


def _socket(told: object, ssh_home: SshHome) -> str | None:
    if told == "SSH_AUTH_SOCK":
        return ssh_home.agent_socket
    return str(Path(str(told)).expanduser()) if told else None


def _paths(names: object) -> tuple[Path, ...]:
    return tuple(Path(str(name)).expanduser() for name in names) if isinstance(names, list | tuple) else ()


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys to offer, in order, and how to speak of them when all were refused."""

    keys: tuple[asyncssh.SSHKeyPair, ...]
    tried: tuple[str, ...]
    locked: tuple[str, ...]
    """Key files that want a passphrase nobody gave."""

    def refused(self, whereto: Whereto) -> AuthRefused:
        """The error when the box took none of them."""
        locked = f" ({', '.join(self.locked)} not tried: a passphrase is needed)" if self.locked else ""
        if not self.tried:
            hint = PASSPHRASE_HINT if self.locked else NO_KEY_HINT
            return AuthRefused(f"there is no key to log in with as {whereto}{locked}", hint=hint)
        return AuthRefused(f"{whereto} refused {', '.join(self.tried)}{locked}")


@asynccontextmanager
async def keyring(whereto: Whereto, ssh: SshOptions, ssh_home: SshHome) -> AsyncIterator[Keyring]:
    """The keys for one login; those of an ssh-agent work only inside. Raises AuthRefused when `identity_file` cannot be used."""
    async with _agent_keys(whereto.agent_socket) as held:
        yield await asyncio.to_thread(_collect, whereto, ssh, ssh_home, held)


@asynccontextmanager
async def _agent_keys(socket: str | None) -> AsyncIterator[list[asyncssh.SSHKeyPair]]:
    """The keys an ssh-agent holds. One that does not answer holds none, as for ssh."""
    try:
        agent = await asyncssh.connect_agent(socket) if socket else None
    except (OSError, asyncssh.Error):
        agent = None
    if agent is None:
        yield []
        return
    async with agent:
        try:
            keys = list(await agent.get_keys())
        except (OSError, ValueError, asyncssh.Error):
            keys = []
        yield keys


def _collect(whereto: Whereto, ssh: SshOptions, ssh_home: SshHome, held: Sequence[asyncssh.SSHKeyPair]) -> Keyring:
    box = _Collector(held, whereto.certificate_files, _passphrase(ssh))
    if ssh.identity_file is not None:
        box.add_required(ssh.identity_file)
        return box.done()
    for path in whereto.identity_files:
        box.add_file(path)
    if not whereto.identities_only:
        box.add_held()
    if not whereto.identity_files:
        for name in DEFAULT_KEYS:
            box.add_file(ssh_home.ssh_dir / name)
    return box.done()


def _passphrase(ssh: SshOptions) -> str | None:
    if ssh.passphrase_file is None:
        return None
    try:
        return ssh.passphrase_file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise AuthRefused(
            f"passphrase_file {ssh.passphrase_file} cannot be read: {error}", hint="check its path and mode"
        ) from error


class _Collector:
    """Gathers keys, each public key once: from files, and from the agent where a file is locked."""

    def __init__(self, held: Sequence[asyncssh.SSHKeyPair], certificates: Sequence[Path], passphrase: str | None) -> None:
        self._held = held
        self._certificates = [str(path) for path in certificates if os.access(path, os.R_OK)]
        self._passphrase = passphrase
        self._keys: dict[bytes, asyncssh.SSHKeyPair] = {}
        self._tried: list[str] = []
        self._locked: list[str] = []

    def done(self) -> Keyring:
        return Keyring(tuple(self._keys.values()), tuple(self._tried), tuple(self._locked))

    def add_required(self, path: Path) -> None:
        """`identity_file`: what is wrong with it is an error, since its owner meant this one."""
        try:
            self._add(path)
        except OSError as error:
            raise AuthRefused(
                f"identity_file {path} cannot be read: {error.strerror}", hint="check its path, owner and mode"
            ) from error
        except asyncssh.KeyEncryptionError as error:
            raise AuthRefused(f"the passphrase does not open {path}", hint="check passphrase_file") from error
        except (asyncssh.KeyImportError, ValueError) as error:
            raise AuthRefused(f"identity_file {path} holds no usable private key: {error}", hint="name the private key") from error
        if not self._keys:
            raise AuthRefused(f"{path} is encrypted, and there is no passphrase for it", hint=PASSPHRASE_HINT)

    def add_file(self, path: Path) -> None:
        """A key ssh would try: one that is missing or broken is passed over, as ssh does."""
        try:
            self._add(path)
        except asyncssh.KeyEncryptionError:
            self._locked.append(str(path))
        except (OSError, ValueError):
            return

    def add_held(self) -> None:
        """All keys of the ssh-agent."""
        for key in self._held:
            self._offer(key, f"{key.get_comment() or key.get_algorithm()} of the ssh-agent")

    def _add(self, path: Path) -> None:
        pairs = asyncssh.load_keypairs(str(path), self._passphrase, self._certificates, ignore_encrypted=self._passphrase is None)
        for pair in pairs:
            self._offer(pair, str(path))
        if not pairs and not self._add_held_for(path):
            self._locked.append(str(path))

    def _add_held_for(self, path: Path) -> bool:
        """The locked file's key from the agent, if that holds it."""
        wanted = _public_data(path)
        for key in self._held:
            if key.key_public_data == wanted:
                self._offer(key, f"{path} (by the ssh-agent)")
        return any(key.key_public_data == wanted for key in self._held)

    def _offer(self, key: asyncssh.SSHKeyPair, name: str) -> None:
        if key.public_data not in self._keys:
            self._keys[key.public_data] = key
            if name not in self._tried:
                self._tried.append(name)


def _public_data(path: Path) -> bytes | None:
    """The public half: beside the key, or in the clear head of OpenSSH's private format."""
    for name in (f"{path}.pub", str(path)):
        try:
            return asyncssh.read_public_key(name).public_data
        except (OSError, asyncssh.KeyImportError):
            continue
    return None
