"""Docker's engine: where it is, one client of it, and its errors in forged's words."""

from __future__ import annotations

import errno
import re
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
from aiodocker import Docker, DockerError

from forged.kit.masking import masked
from forged.model.errors import AuthRefused, NotSupported, SourceError, SourceUnreachable
from forged.model.paths import shown

ANSWER_S = 30.0
"""For everything the engine answers at once (what a container is, a process begun): it takes 5 to 100 ms (podman 4.3), and far
longer on a machine that is busy starting containers."""

CONNECT_S = 10.0
"""For a connection to an engine at the end of a line (tcp://)."""

VERSION = re.compile(r"\d{1,3}\.\d{1,3}", re.ASCII)

NO_CONNECTION = 900
"""aiodocker's own status for an engine that it could not connect to."""

MOST_WORDS_BYTES = 500
"""Of what an engine says in an error; it may repeat what a container said."""

START_HINT = (
    "start Docker (`systemctl start docker`) or Podman's socket (`systemctl start podman.socket`), or say in DOCKER_HOST where "
    "the engine is: unix:///path or tcp://host:port"
)
PERMISSION_HINT = (
    "add the user that runs forged to the group docker (`usermod -aG docker USER`; the service: systemd/drop-ins/docker.conf) and "
    "start forged again; who may use that socket is as good as root on this machine"
)
PORT_HINT = "write it as tcp://host:2375, or with TLS (DOCKER_TLS_VERIFY) tcp://host:2376"
SSH_HINT = "reach the machine by ssh://user@host/path and the host's path of the volume, or run forged beside the engine"
TLS_HINT = "check DOCKER_TLS_VERIFY and DOCKER_CERT_PATH: ca.pem, cert.pem and key.pem must be there and fit the engine"
REFUSED_HINT = "the engine's log says more (`journalctl -u docker`, or -u podman); forged keeps trying"
NEWS_HINT = "does something else than a container engine answer there? Check DOCKER_HOST"


def engine_url(environment: Mapping[str, str]) -> str:
    """Where the engine is: `unix:///path` or `tcp://host:port`. DOCKER_HOST, else the first well-known socket that exists.

    Raises NotSupported for an address of another kind, SourceUnreachable where there is no engine.
    """
    told = environment.get("DOCKER_HOST", "")
    if told:
        return _supported(told)
    if environment.get("DOCKER_CONTEXT", "default") != "default":
        raise NotSupported("DOCKER_CONTEXT is set, but forged does not read contexts", hint="say where it is in DOCKER_HOST")
    sockets = _sockets(environment)
    for socket in sockets:
        if socket.exists():
            return f"unix://{socket}"
    raise SourceUnreachable(f"there is no container engine here: {sockets[0]} does not exist", hint=START_HINT)


def _supported(told: str) -> str:
    scheme = told.partition("://")[0]
    if scheme == "ssh":
        raise NotSupported("DOCKER_HOST leads over ssh://, which forged does not do", hint=SSH_HINT)
    if scheme not in ("unix", "tcp", "http", "https"):
        raise NotSupported(f"DOCKER_HOST is no address that forged knows: {told_by(told)}", hint=START_HINT)
    if scheme == "tcp" and not _has_port(told):
        raise NotSupported(f"DOCKER_HOST names no host with a port: {told_by(told)}", hint=PORT_HINT)
    return told


def _has_port(address: str) -> bool:
    """aiohttp knows no usual one for tcp://."""
    try:
        parts = urlsplit(address)
        return bool(parts.hostname and parts.port)
    except ValueError:
        return False


def _sockets(environment: Mapping[str, str]) -> list[Path]:
    """Docker's, that of a rootless Docker, Podman's, and that of a rootless Podman."""
    own = [Path(environment["XDG_RUNTIME_DIR"])] if environment.get("XDG_RUNTIME_DIR") else []
    folders = [Path("/run"), *own]
    return [folder / name for name in ("docker.sock", "podman/podman.sock") for folder in folders]


@asynccontextmanager
async def engine(url: str) -> AsyncIterator[Docker]:
    """A client of the engine, closed afterwards. Nothing is asked yet. Raises NotSupported, SourceUnreachable."""
    try:
        client = Docker(url=url, timeout=aiohttp.ClientTimeout(total=ANSWER_S, sock_connect=CONNECT_S))
    except (ValueError, OSError, ssl.SSLError) as error:
        raise SourceUnreachable(f"the engine at {told_by(url)} cannot be used: {told_by(str(error))}", hint=TLS_HINT) from error
    try:
        yield client
    finally:
        await client.close()


async def agree(client: Docker) -> None:
    """Settles on the engine's own version of the API, as Docker's command line does it.

    aiodocker would ask for all that the engine knows of itself: 0.4 s with podman 4.3. And none can be taken for granted: 1.41 is
    the newest of podman 4.3, and Docker 29 refuses everything before 1.44.
    Raises aiodocker's errors.
    """
    async with client._query("_ping", versioned_api=False) as answer:
        answer.release()
        version = answer.headers["Api-Version"]
    if not VERSION.fullmatch(version):
        raise ValueError("a version that is none")
    client.api_version = f"v{version}"


@asynccontextmanager
async def in_our_words(url: str) -> AsyncIterator[None]:
    """Around whatever is asked of the engine: raises its errors as SourceError."""
    try:
        yield
    except DockerError as error:
        raise translated(error, url) from error
    except TimeoutError as error:
        raise SourceUnreachable(f"the engine at {told_by(url)} did not answer within {ANSWER_S:g} s", hint=START_HINT) from error
    except (aiohttp.ClientError, OSError) as error:
        raise SourceUnreachable(
            f"the connection to the engine at {told_by(url)} broke: {told_by(str(error))}", hint=START_HINT
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:  # no JSON, or aiodocker stumbled over what is in it
        raise SourceUnreachable(f"what answers at {told_by(url)} is no container engine", hint=NEWS_HINT) from error


def translated(error: DockerError, url: str) -> SourceError:
    """aiodocker's error in forged's words. What its message says comes from the engine, partly from the container."""
    cause = error.__context__
    if error.status == NO_CONNECTION and isinstance(cause, OSError):
        if cause.errno in (errno.EACCES, errno.EPERM):
            return AuthRefused(f"this user may not use the engine at {told_by(url)}", hint=PERMISSION_HINT)
        if isinstance(cause, aiohttp.ClientSSLError):
            return SourceUnreachable(f"the engine at {told_by(url)} does not accept our TLS: {told_by(str(cause))}", hint=TLS_HINT)
        reason = cause.strerror or str(cause)
        return SourceUnreachable(f"no engine answers at {told_by(url)}: {told_by(reason)}", hint=START_HINT)
    hint = START_HINT if error.status == NO_CONNECTION else REFUSED_HINT
    return SourceUnreachable(f"the engine at {told_by(url)}: {told_by(error.message)}", hint=hint)


def told_by(said: str) -> str:
    """Somebody else's words, or an address, for people: escaped, of bounded length, without passwords."""
    return masked(shown(said.strip().encode("utf-8", "surrogateescape")[:MOST_WORDS_BYTES]))
