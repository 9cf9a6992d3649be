"""Who wants to know what, and telling them without ever waiting. Lives in the event loop's thread."""

from __future__ import annotations

from collections.abc import Callable

from forged.control.errors import TooBusy
from forged.control.peers import Peer
from forged.control.protocol import notification_line
from forged.control.sending import SendQueue

SUBSCRIPTIONS_MOST = 100
"""On one connection. Who follows more jobs than that subscribes to all of them, without a key."""


class Publisher:
    """Hands notifications to the connections that subscribed to them."""

    def __init__(self) -> None:
        # A dict for its order: a set would tell its subscribers in an order that changes from run to run.
        self._connections: dict[Connection, None] = {}

    def publish(self, method: str, params: object, *, key: str = "", latest_wins: bool = False, last: bool = False) -> None:
        """Tells everyone who subscribed to `method`, for all keys or for this one. Returns at once, however slow they are.

        `latest_wins`: while an older one of the same method and key waits for a slow peer, this one replaces it; for progress,
        which only counts when it is new. `last`: there will be no more for this key, so subscriptions to it alone end with it.
        Raises ValueError when `params` are no JSON, and only if anyone listens.
        """
        listeners = [connection for connection in self._connections if connection.wants(method, key)]
        if listeners:
            line = notification_line(method, params)
            for connection in listeners:
                connection.tell(line, (method, key) if latest_wins else None)
        if last:
            for connection in list(self._connections):
                connection.end_of(key)

    def is_wanted(self, method: str, key: str = "") -> bool:
        """Whether anyone listens: saves making what nobody reads."""
        return any(connection.wants(method, key) for connection in self._connections)

    def add(self, connection: Connection) -> None:
        self._connections[connection] = None

    def discard(self, connection: Connection) -> None:
        self._connections.pop(connection, None)


class Connection:
    """What a method may know of the connection it was called on: the peer, and what is sent to it unasked.

    A method gets it by naming a parameter of this type.
    """

    def __init__(self, peer: Peer, queue: SendQueue, publisher: Publisher, on_unsubscribed: Callable[[], None]) -> None:
        self.peer = peer
        self._queue, self._publisher, self._on_unsubscribed = queue, publisher, on_unsubscribed
        self._subscriptions: set[tuple[str, str | None]] = set()

    def subscribe(self, method: str, key: str | None = None) -> None:
        """From now on sends the notifications `method` here: those of one key, or all. Twice is once. Raises TooBusy."""
        wanted = self._subscriptions | {(method, key)}
        if len(wanted) > SUBSCRIPTIONS_MOST:
            raise TooBusy(hint=f"a connection has at most {SUBSCRIPTIONS_MOST} subscriptions: subscribe to all at once")
        self._subscriptions = wanted
        self._publisher.add(self)

    def unsubscribe(self, method: str, key: str | None = None) -> None:
        """Ends one subscription; without a key all to this method. One that is not there is no error."""
        self._keep({each for each in self._subscriptions if each[0] != method or (key is not None and each[1] != key)})

    def notify(self, method: str, params: object, *, latest_wins: bool = False) -> None:
        """Sends one notification to this connection alone, subscribed or not. Returns at once. Raises ValueError as `publish`."""
        self.tell(notification_line(method, params), (method, None) if latest_wins else None)

    @property
    def is_subscribed(self) -> bool:
        return bool(self._subscriptions)

    def wants(self, method: str, key: str) -> bool:
        return (method, None) in self._subscriptions or (method, key) in self._subscriptions

    def tell(self, line: bytes, slot: tuple[str, str | None] | None) -> None:
        """Puts a finished notification into the send queue, which forgets it when the connection has ended."""
        self._queue.put_note(line, slot)

    def end_of(self, key: str) -> None:
        """There is nothing more to tell about this key."""
        self._keep({each for each in self._subscriptions if each[1] != key})

    def close(self) -> None:
        """Ends all subscriptions."""
        self._keep(set())

    def _keep(self, subscriptions: set[tuple[str, str | None]]) -> None:
        self._subscriptions = subscriptions
        if not subscriptions:
            self._publisher.discard(self)
            self._on_unsubscribed()
