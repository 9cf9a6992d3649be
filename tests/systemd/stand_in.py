"""A service that does nothing but tell systemd how it is: what forged.kit.notify says, to a real systemd."""

from __future__ import annotations

import os
import signal
import sys
import time

from forged.kit.notify import Notifier

HEARD = {signal.SIGHUP, signal.SIGTERM, signal.SIGUSR1}


def main(may_start: str) -> None:
    """Ready when the file `may_start` is there. SIGHUP reloads, SIGUSR1 makes it hang, SIGTERM ends it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HEARD)
    notifier = Notifier(os.environ)
    while not os.path.exists(may_start):
        time.sleep(0.01)
    notifier.ready("standing in")
    while heard := signal.sigtimedwait(HEARD, (notifier.watchdog_s or 60) / 4) or notifier.watchdog():
        if heard is True:
            continue
        if heard.si_signo == signal.SIGTERM:
            notifier.stopping("going")
            return
        if heard.si_signo == signal.SIGUSR1:
            time.sleep(3600)
        notifier.reloading()
        notifier.ready("reloaded")


if __name__ == "__main__":
    main(sys.argv[1])
