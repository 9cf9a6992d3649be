"""Telling systemd how a service is (sd_notify(3)), without a library: one datagram on the socket that $NOTIFY_SOCKET names."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Mapping

STATUS_MOST_BYTES = 1024
"""A status is one line for people. systemd ignores a whole datagram above 4,096 bytes (NOTIFY_BUFFER_MAX, systemd 252)."""


class Notifier:
    """What the service manager wants to know. Where nobody asked for it, nothing happens.

    Never raises and never blocks. Each call answers whether the datagram went out; where it did not (the manager is gone, or its
    queue is full) there is nothing that a service could do about it.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._address = _address(env.get("NOTIFY_SOCKET", ""))
        self._socket: socket.socket | None = None
        if self._address is not None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK)
        self.watchdog_s = _watchdog_s(env)
        """Without a sign of life for so many seconds we are killed; send one at least twice as often. None = nobody watches."""

    def ready(self, status: str) -> bool:
        """The start, or a reload, is over."""
        return self._send(f"READY=1\n{_status(status)}")

    def status(self, text: str) -> bool:
        """One line for `systemctl status`. Control characters become spaces; what is too long is cut off."""
        return self._send(_status(text))

    def reloading(self) -> bool:
        """A reload begins; `ready` ends it, also where nothing was changed. Both fields in one datagram, as Type=notify-reload
        (systemd >= 253) needs them: the time tells this reload from the one before."""
        return self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str = "stopping") -> bool:
        """The stop begins."""
        return self._send(f"STOPPING=1\n{_status(status)}")

    def watchdog(self) -> bool:
        """A sign of life."""
        return self._send("WATCHDOG=1")

    def close(self) -> None:
        """Nothing is sent any more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, fields: str) -> bool:
        if self._socket is None or self._address is None:
            return False
        with contextlib.suppress(OSError):
            return self._socket.sendto(fields.encode(), self._address) > 0
        return False


def _address(name: str) -> bytes | None:
    """A path, or `@` and a name for an abstract socket (unix(7)). Other kinds (vsock:) are for virtual machines."""
    if name.startswith("@"):
        return b"\0" + os.fsencode(name[1:])
    return os.fsencode(name) if name.startswith("/") else None


def _status(text: str) -> str:
    line = "".join(char if char.isprintable() else " " for char in text)
    return "STATUS=" + line.encode()[:STATUS_MOST_BYTES].decode(errors="ignore")


def _watchdog_s(env: Mapping[str, str]) -> float | None:
    """$WATCHDOG_USEC, unless $WATCHDOG_PID says that another process is meant (sd_watchdog_enabled(3))."""
    usec, pid = env.get("WATCHDOG_USEC", ""), env.get("WATCHDOG_PID", "")
    if pid not in ("", str(os.getpid())) or not (usec.isascii() and usec.isdecimal()):
        return None
    return int(usec) / 1e6 or None
