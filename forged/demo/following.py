"""Follows the daemon through its control socket, as forgectl's live view does, and passes on what it hears to the story."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from forged.control.client import Client, NoDaemon, Notification
from forged.demo.story import Story
from forged.kit.tasks import to_the_end
from forged.model import rpc

BEAT_S = 0.1
"""How long news are gathered before they are shown: a frame of the screen."""

TARGETS_EVERY_S = 0.2
"""How often the daemon is asked how the targets stand; nothing tells of that by itself."""

KNOCK_EVERY_S = 0.05
"""While the daemon starts, which takes about a second."""


async def follow(socket: Path, story: Story) -> NoReturn:
    """Until it is cancelled. Raises NoDaemon when the daemon ends, NoAnswer when it does not answer any more."""
    follower = Follower(await connected(socket))
    try:
        while True:
            # To the end: the connection must not be closed while a thread still reads from it.
            heard = await to_the_end(asyncio.to_thread(follower.listen))
            story.stand(heard.targets)
            for note in heard.notes:
                pass_on(note, story)
    finally:
        follower.close()


async def connected(socket: Path) -> Client:
    """Waits for a daemon that has just been started."""
    while True:
        try:
            return Client(str(socket))
        except NoDaemon:
            await asyncio.sleep(KNOCK_EVERY_S)


@dataclass(frozen=True, slots=True)
class Heard:
    """The news of one beat. `targets` is empty where they were not asked for."""

    targets: list[rpc.Target]
    notes: list[Notification]


class Follower:
    """A connection that subscribes to everything. Its methods block, so they run in a thread, one at a time."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._subscribed = False
        self._ask_at_s = 0.0

    def close(self) -> None:
        self._client.close()

    def listen(self) -> Heard:
        """Takes one beat."""
        if not self._subscribed:
            self._client.call("events.subscribe")
            self._client.call("sync.subscribe")
            self._subscribed = True
        targets: list[rpc.Target] = []
        if time.monotonic() >= self._ask_at_s:
            self._ask_at_s = time.monotonic() + TARGETS_EVERY_S
            targets = self._client.call("target.list")["targets"]
        return Heard(targets, list(self._client.notifications(BEAT_S)))


def pass_on(note: Notification, story: Story) -> None:
    """One notification, by its kind."""
    if note.method == "event":
        story.hear(note.params)
    elif note.method == "sync_complete":
        story.synced(note.params)
