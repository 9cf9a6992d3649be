"""Tells when a peer has closed its socket for good, which reading cannot: it ends the same way after a half-close.

epoll(7) reports EPOLLHUP, asked for or not, once both directions of a Unix stream socket are shut; a half-close, as of `nc -N`,
shuts only one. One epoll watches all connections, and the event loop watches the epoll.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from contextlib import suppress


class Hangups:
    """Made in a running event loop. `close` when done."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._tell: dict[int, Callable[[], None]] = {}
        asyncio.get_running_loop().add_reader(self._epoll.fileno(), self._look)

    def watch(self, fd: int, tell: Callable[[], None]) -> None:
        """Calls `tell` once when the peer of the socket `fd` is gone. Raises OSError."""
        self._epoll.register(fd, 0)
        self._tell[fd] = tell

    def forget(self, fd: int, tell: Callable[[], None]) -> None:
        """Ends what `watch` began with the same arguments.

        A socket that has been closed already has left the epoll by itself, and its number may be another's, which stays watched.
        """
        if self._tell.get(fd) == tell:
            del self._tell[fd]
            with suppress(OSError):
                self._epoll.unregister(fd)

    def close(self) -> None:
        """May be called again."""
        if self._epoll.closed:
            return
        asyncio.get_running_loop().remove_reader(self._epoll.fileno())
        self._epoll.close()
        self._tell.clear()

    def _look(self) -> None:
        for fd, _ in self._epoll.poll(0):
            tell = self._tell[fd]
            self.forget(fd, tell)
            tell()
