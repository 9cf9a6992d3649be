"""Drawing the progress of a target while a long question is being answered: a thread with a connection of its own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from forged.cli.ctl.asking import Asking
from forged.cli.ctl.board import one_bar
from forged.control.client import Client
from forged.model.errors import ForgedError

LOOK_EVERY_S = 0.25
"""How long it takes at most until the thread notices that the question is answered."""


@contextmanager
def progress_of(asking: Asking, target: str) -> Iterator[None]:
    """Draws while the block runs. Raises what connecting raises."""
    answered = threading.Event()
    with asking.another_client() as client:
        thread = threading.Thread(target=_draw, args=(client, target, answered), name="progress")
        thread.start()
        try:
            yield
        finally:
            answered.set()
            thread.join()


def _draw(client: Client, target: str, answered: threading.Event) -> None:
    """The main thread has the same daemon at the other end, and tells what is wrong with it."""
    try:
        client.call("sync.subscribe")
        with one_bar(target) as draw:
            while not answered.is_set():
                mine = {job["sync_id"] for job in client.call("sync.active")["jobs"] if job["target"] == target}
                for note in client.notifications(LOOK_EVERY_S):
                    # One that waits for its turn waits for another, and that one is worth seeing.
                    waits = note.method == "sync_progress" and note.params["status"] == "pending" and len(mine) > 1
                    if note.method == "sync_progress" and note.params["sync_id"] in mine and not waits:
                        draw(note.params)
    except ForgedError:
        return
