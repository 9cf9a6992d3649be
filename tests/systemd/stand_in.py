"""A service that does nothing but tell systemd how it is: what forged.kit.notify says, to a real systemd."""

from __future__ import annotations

import os
import signal
import sys
import time

from forged.kit.notify import Notifier


def main(may_start: str) -> None:
    """Ready when the file `may_start` is there. SIGHUP reloads, SIGTERM ends it."""
    heard = {signal.SIGHUP, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, heard)
    notifier = Notifier(os.environ)
    while not os.path.exists(may_start):
        time.sleep(0.01)
    notifier.ready("standing in")
    while signal.sigwait(heard) == signal.SIGHUP:
        notifier.reloading()
        notifier.ready("reloaded")
    notifier.stopping("going")


if __name__ == "__main__":
    main(sys.argv[1])
