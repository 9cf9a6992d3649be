"""Reading a `source`: ssh://, sftp://, docker:// or a local path. (RFC 3986, but a path may hold `?` and `#` as they are.)"""

from __future__ import annotations

import ipaddress
import posixpath
import re
from urllib.parse import unquote

from forged.model.target import SourceAddress, SourceKind

_URL = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/]*)(?P<path>/.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(?:(?P<user>[^@]*)@)?(?P<host>\[[^\]]*\]|[^:\[\]@]*)(?::(?P<port>[^:]*))?", re.DOTALL)
# A host, an alias of ~/.ssh/config or a container's name. A leading `-` could pass for an option somewhere.
_HOST = re.compile(r"[^\W_][\w.-]*")
_USER = re.compile(r"[^\W-][\w.@+-]*")

_HELP = "write ssh://user@host:port/path, sftp://..., docker://container/path, or an absolute local path"


def parse_source(text: str) -> SourceAddress:
    """Where files come from. The path is absolute and normal, or empty: then the preset of the target's type knows it.

    Percent-encoding is decoded in URLs (`%20`; bytes that are not UTF-8 become surrogate escapes, as os.fsencode wants them),
    local paths are taken as they are. Raises ValueError, which says what is allowed and never repeats a password.
    """
    match = _URL.fullmatch(text)
    if match is None:
        if not text.startswith("/"):
            raise ValueError(f"this is no source: {_HELP}")
        return SourceAddress(SourceKind.LOCAL, _local_path(text))
    kind = _kind(match["scheme"])
    user, host, port = _authority(match["authority"])
    if kind is SourceKind.DOCKER and (user or port):
        raise ValueError("a container has neither user nor port: write docker://container/path")
    return SourceAddress(kind, _path(unquote(match["path"] or "", errors="surrogateescape")), host, user, port)


def _kind(scheme: str) -> SourceKind:
    kinds = {kind.value: kind for kind in SourceKind if kind is not SourceKind.LOCAL}
    if scheme.lower() not in kinds:
        raise ValueError(f"forged does not know {scheme}://: {_HELP}")
    return kinds[scheme.lower()]


def _authority(text: str) -> tuple[str | None, str, int | None]:
    userinfo, at, _ = text.rpartition("@")
    if at and ":" in userinfo:
        raise ValueError("a password has no place in a URL, where logs and ps show it: log in with a key (identity_file)")
    match = _AUTHORITY.fullmatch(text)
    if match is None:
        raise ValueError("host and port cannot be told apart: write host:port, an IPv6 address in brackets, [fd00::1]:22")
    user = None if match["user"] is None else unquote(match["user"])
    if user is not None and not _USER.fullmatch(user):
        raise ValueError(f"the user before the @ is missing or no user's name: {_HELP}")
    return user, _host(match["host"]), None if match["port"] is None else _port(match["port"])


def _host(text: str) -> str:
    host = unquote(text)
    if host.startswith("["):
        return _ipv6(host[1:-1])
    if not _HOST.fullmatch(host):
        raise ValueError(f"the host is missing or no host's name: {_HELP}")
    return host


def _ipv6(text: str) -> str:
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise ValueError("the brackets hold no IPv6 address: write it as in [fd00::1]") from None


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65_535:
        raise ValueError("the port is no number from 1 to 65535")
    return int(text)


def _local_path(text: str) -> str:
    path = _path(text)
    if not path:
        raise ValueError("the whole disk is no source: name the folder that the files are in")
    return path


def _path(path: str) -> str:
    """Normal form; empty for no path, and for `/` alone, which people write after a host without meaning the whole disk."""
    if "\0" in path or ".." in path.split("/"):
        raise ValueError("a path without `..` and NUL is needed: write the folder's absolute path")
    normal = "/" + posixpath.normpath(path).lstrip("/") if path else ""
    if normal.startswith("/~"):
        raise ValueError("`~` is not looked up at the source: write the folder's absolute path")
    return "" if normal == "/" else normal
