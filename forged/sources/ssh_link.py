"""Connections to a box: logs in through asyncssh as a user of ssh expects, and runs one agent per connection.

Each channel has a connection of its own, since a long line is bound per TCP connection (DESIGN section 8), and since then
closing one end closes everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncssh

from forged.kit.clock import Clock, SystemClock
from forged.model.errors import AuthRefused, Lacking, NotSupported, SourceBroken, SourceError, SourceUnreachable
from forged.model.manifest import ManifestName, PinKeeper
from forged.model.observer import ConnectionClosed, ConnectionOpened, HostKeyPinned, Observer
from forged.model.target import SourceAddress, SshOptions
from forged.sources.agent import launch
from forged.sources.hostkeys import HostKeyRule, Pinned, new_pin, rule_for
from forged.sources.login import CONFIG_HINT, NO_X509, SshHome, Whereto, keyring, resolve
from forged.sources.ssh_channel import NO_SHELL_HINT, AgentSession, Refusal, SshChannel, why_no_agent

CIPHERS = (
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
"""AES-GCM first: with AES instructions it moves 520 MB/s and more, chacha20 about half (measured, DESIGN section 8)."""

OPEN_REQUEST_SESSION_FAILED = 0xFFFFFFFF
"""asyncssh's own code (2.24, constants.py): the session was opened, and the server refused to run a command in it."""

MOST_JUMPS = 5
"""A chain of ProxyJump hosts that is longer goes in a circle: `Host *` with a ProxyJump also matches the jump host itself."""


FAREWELL_S = 2.0
"""How long a closing connection may take to say so; nothing depends on its doing so."""

FIXED_OPTIONS: Mapping[str, Any] = {
    "encryption_algs": CIPHERS,
    "compression_algs": ["none"],  # media are compressed already
    "public_key_auth": True,
    "password_auth": False,
    "kbdint_auth": False,
    "host_based_auth": False,
    "gss_auth": False,
    "gss_kex": False,  # a Kerberos key exchange would pass the host-key check by
    "agent_path": None,  # its keys are in the keyring already
    "agent_identities": None,
    "pkcs11_provider": None,
    "client_certs": [],
    "agent_forwarding": False,
    "x11_forwarding": False,
    "request_pty": False,
    "env": {},
    "send_env": [],
    **NO_X509,
}
"""Said in so many words, or asyncssh would take them from ~/.ssh/config or from its defaults. (Any: keyword arguments.)"""


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """How a connection behaves. The defaults are for all; tests shorten the times."""

    connect_s: float = 45.0
    """From the first packet to a logged-in session, name lookup included. Opening costs 9 round trips, so even 2 s each fit."""
    keepalive_s: float = 15.0
    """After this silence the server is asked for a sign of life."""
    keepalive_count: int = 3
    """So many unanswered questions end the connection: a dead link is noticed within a minute, like SILENCE_LIMIT_S."""
    window_bytes: int = 32 << 20
    """What may be on its way: at 150 ms it still allows 200 MB/s. asyncssh's own 2 MiB make 14 MB/s of that."""
    packet_bytes: int = 128 << 10
    """The largest packet the server may send. OpenSSH 9.2 sends 32 KiB mostly, more only when it lags behind: no gain, no harm."""
    rekey_bytes: int = 64 << 30
    """RFC 4344 section 3.2: 2^32 blocks of AES. asyncssh's 1 GiB would stop every large file once or twice."""

    def as_options(self) -> dict[str, float | None]:
        """The part asyncssh takes when connecting.

        No `connect_timeout`: it becomes asyncio.wait_for, which before Python 3.12 loses a cancellation that comes in the moment in
        which the connection stands (python/cpython#86296), and whoever cancelled then waits for ever. `open_channel` has the limit.
        """
        return {
            "connect_timeout": None,
            "login_timeout": self.connect_s,
            "keepalive_interval": self.keepalive_s,
            "keepalive_count_max": self.keepalive_count,
            "rekey_bytes": self.rekey_bytes,
        }


@dataclass(frozen=True, slots=True)
class Link:
    """A connection that stands. Whoever has it closes it: `async with link.closing`."""

    whereto: Whereto
    """As text it is for people: `root@10.0.78.108:2222`."""
    connection: asyncssh.SSHClientConnection
    closing: AsyncExitStack


class SshDoor:
    """Opens channels to one box. Host-key pins are kept under `name`; a first one is reported to the observer."""

    def __init__(
        self,
        address: SourceAddress,
        ssh: SshOptions,
        pins: PinKeeper,
        name: ManifestName,
        ssh_home: SshHome,
        *,
        observer: Observer,
        target: str = "",
        settings: LinkSettings | None = None,
        clock: Clock | None = None,
    ) -> None:
        self._address = address
        self._ssh = ssh
        self._pins = pins
        self._name = name
        self._ssh_home = ssh_home
        self._observer = observer
        self._target = target
        self._settings = settings or LinkSettings()
        self._clock = clock or SystemClock()
        self._first_use = asyncio.Lock()

    async def open_channel(self) -> SshChannel:
        """A fresh connection with an agent's bootstrap running at its end; the program itself is for the caller to send.

        Raises what `open_link` raises, and NotSupported.
        """
        link = await self.open_link()
        async with link.closing as closing:
            return await self.open_session(link, launch.shell_command(), why_no_agent, closing)

    async def open_session(self, link: Link, command: str, why_refused: Refusal, closing: AsyncExitStack) -> SshChannel:
        """A command over a connection that stands. What is in `closing` goes over to the channel, which closes it.

        Raises SourceUnreachable, NotSupported (Lacking where the server lets nobody run commands).
        """
        async with self._soon():
            try:
                chan, session = await self._session(link.connection, link.whereto, command)
            except Lacking:  # or the box could not start one process more, at that moment
                chan, session = await self._session(link.connection, link.whereto, command)
        return SshChannel(str(link.whereto), chan, session, closing.pop_all(), why_refused)

    async def open_link(self) -> Link:
        """A fresh connection, logged in, with nothing running at its end.

        Raises SourceUnreachable, AuthRefused, HostKeyUnknown, HostKeyChanged, SourceBroken.
        """
        address = self._address
        async with self._soon(), AsyncExitStack() as stack:
            whereto = await resolve(address.host, address.port, address.user, self._ssh_home)
            connection = await self._pinned_connection(whereto, stack)
            stack.callback(self._observer.notice, ConnectionClosed(self._target))
            self._observer.notice(ConnectionOpened(self._target))
            return Link(whereto, connection, stack.pop_all())

    @asynccontextmanager
    async def _soon(self) -> AsyncIterator[None]:
        """Each of the two steps has the whole time: a second one on a line that stands takes two round trips."""
        try:
            async with asyncio.timeout(self._settings.connect_s):
                yield
        except TimeoutError as error:
            raise SourceUnreachable(f"{self._address} did not answer within {self._settings.connect_s:g} s") from error

    # --- the connection ---------------------------------------------------------------------------------------------------

    async def _pinned_connection(self, whereto: Whereto, stack: AsyncExitStack) -> asyncssh.SSHClientConnection:
        """Two first uses at once must not pin two keys, so the second waits and is then held to the first one's."""
        rule = await self._rule(whereto)
        if not (isinstance(rule, Pinned) and rule.pin is None):
            return await self._connection(whereto, rule, self._ssh, stack)
        async with self._first_use:
            rule = await self._rule(whereto)
            connection = await self._connection(whereto, rule, self._ssh, stack)
            if isinstance(rule, Pinned) and rule.pin is None:
                await self._pin(connection)
            return connection

    async def _rule(self, whereto: Whereto) -> HostKeyRule:
        policy, pins, name = self._ssh.host_key, self._pins, self._name
        return await rule_for(policy, pins, name, whereto.known_hosts, whereto.alias, whereto.port, target=self._target)

    async def _pin(self, connection: asyncssh.SSHClientConnection) -> None:
        key = connection.get_server_host_key()
        if key is None:
            raise SourceBroken("the box logged us in without showing a host key")
        pin = new_pin(key, self._clock.now_ns())
        await self._pins.pin(self._name, pin)
        self._observer.notice(HostKeyPinned(self._target, pin.fingerprint))

    async def _connection(
        self, whereto: Whereto, rule: HostKeyRule, ssh: SshOptions, stack: AsyncExitStack, depth: int = 0
    ) -> asyncssh.SSHClientConnection:
        """A logged-in connection, its jump hosts first; `stack` closes them in the opposite order."""
        tunnel = None
        for jump in whereto.jumps:
            tunnel = await self._jump(jump, tunnel, stack, depth)
        return await self._login(whereto, rule, ssh, tunnel, stack)

    async def _jump(
        self, jump: str, tunnel: asyncssh.SSHClientConnection | None, stack: AsyncExitStack, depth: int
    ) -> asyncssh.SSHClientConnection:
        """A host on the way: logged in to with the user's own keys, and held to known_hosts as ssh does."""
        if depth >= MOST_JUMPS:
            raise SourceError(
                f"ProxyJump goes in a circle at {jump}", hint="except the jump host from its own ProxyJump: `Host * !jump`"
            )
        user, _, place = jump.rpartition("@")
        host, _, port = place.partition(":")
        whereto = await resolve(host, int(port) if port else None, user or None, self._ssh_home)
        rule = await rule_for("known_hosts", self._pins, self._name, whereto.known_hosts, whereto.alias, whereto.port)
        if tunnel is not None:
            return await self._login(whereto, rule, SshOptions(), tunnel, stack)
        return await self._connection(whereto, rule, SshOptions(), stack, depth + 1)

    async def _login(
        self,
        whereto: Whereto,
        rule: HostKeyRule,
        ssh: SshOptions,
        tunnel: asyncssh.SSHClientConnection | None,
        stack: AsyncExitStack,
    ) -> asyncssh.SSHClientConnection:
        judge = _Judge(rule)
        async with keyring(whereto, ssh, self._ssh_home) as keys:
            try:
                connection = await asyncssh.connect(
                    whereto.name,
                    whereto.port,
                    username=whereto.user,
                    config=self._ssh_home.config,
                    tunnel=tunnel,
                    client_factory=lambda: judge,
                    client_keys=list(keys.keys) or None,
                    known_hosts=rule.known,
                    host_key_alias=whereto.alias,
                    server_host_key_algs=rule.algorithms,
                    **self._settings.as_options(),
                    **FIXED_OPTIONS,
                )
            except asyncssh.HostKeyNotVerifiable as error:
                raise rule.refusal(judge.refused, str(whereto), error.reason) from error
            except asyncssh.PermissionDenied as error:
                raise keys.refused(whereto) from error
            except (asyncssh.Error, OSError, ValueError) as error:
                raise translated(error, whereto) from error
        stack.push_async_callback(_close, connection)
        return connection

    async def _session(
        self, connection: asyncssh.SSHClientConnection, whereto: Whereto, command: str
    ) -> tuple[asyncssh.SSHClientChannel[bytes], AgentSession]:
        session = AgentSession()
        try:
            chan, _ = await connection.create_session(
                lambda: session,
                command,
                encoding=None,
                window=self._settings.window_bytes,
                max_pktsize=self._settings.packet_bytes,
            )
            return chan, session
        except asyncssh.ChannelOpenError as error:
            message = f"{whereto} runs no commands: {error.reason}"
            if error.code == OPEN_REQUEST_SESSION_FAILED:
                raise Lacking(message, hint=NO_SHELL_HINT, lacks="no commands allowed") from error
            raise NotSupported(message, hint=NO_SHELL_HINT) from error
        except (asyncssh.Error, OSError) as error:
            raise translated(error, whereto) from error


class _Judge(asyncssh.SSHClient):
    """asyncssh's client object: passes its one question on to the rule, and remembers a key that was refused."""

    def __init__(self, rule: HostKeyRule) -> None:
        self._rule = rule
        self.refused: asyncssh.SSHKey | None = None

    def validate_host_public_key(self, host: str, addr: str, port: int, key: asyncssh.SSHKey) -> bool:
        accepted = self._rule.accepts(key)
        self.refused = None if accepted else key
        return accepted


def translated(error: Exception, whereto: Whereto) -> SourceError:
    """asyncssh's and the system's errors of a connection that did not come to be, in forged's words."""
    reason = error.reason if isinstance(error, asyncssh.DisconnectError | asyncssh.ChannelOpenError) else str(error)
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror  # without `[Errno 111]`, which helps nobody
    if "authentication failures" in reason:  # OpenSSH says so by a plain disconnect, after MaxAuthTries keys
        return AuthRefused(f"{whereto}: {reason}", hint="too many keys were tried: set identity_file")
    if isinstance(error, asyncssh.KeyExchangeFailed | asyncssh.ProtocolNotSupported):
        return NotSupported(f"{whereto} has no algorithm in common with us: {reason}", hint="is its SSH server very old?")
    if isinstance(error, asyncssh.ProtocolError | asyncssh.MACError | asyncssh.CompressionError):
        return SourceBroken(f"{whereto} does not speak SSH properly: {reason}")
    if isinstance(error, ValueError):
        return SourceError(f"the ssh config cannot be used for {whereto}: {reason}", hint=CONFIG_HINT)
    if isinstance(error, OSError) and error.strerror:
        reason = error.strerror.split(" (")[0]  # its number, and the address once more, help nobody
    return SourceUnreachable(f"{whereto}: {reason or type(error).__name__}")


async def _close(connection: asyncssh.SSHClientConnection) -> None:
    """Says good-bye; a link that cannot even do that is cut."""
    connection.close()
    try:
        async with asyncio.timeout(FAREWELL_S):
            await connection.wait_closed()
    except TimeoutError:
        pass
    finally:
        connection.abort()
    await connection.wait_closed()
