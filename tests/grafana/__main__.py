"""`python -m tests.grafana [SECONDS]`: writes etc/grafana-dashboard.json; with seconds also etc/dashboard.svg, drawn from so
much of a real forged at work.
"""

from __future__ import annotations

import json
import sys

from tests.grafana.board import dashboard
from tests.house.tree import ROOT

DASHBOARD = ROOT / "etc" / "grafana-dashboard.json"
PICTURE = ROOT / "etc" / "dashboard.svg"


def text() -> str:
    """The dashboard as it is in etc/."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> None:
    DASHBOARD.write_text(text())
    if arguments:
        from tests.grafana.drawing import drawn
        from tests.grafana.scene import scene
        from tests.support.sshd import sshd

        with sshd() as server, scene(server, float(arguments[0])) as real:
            PICTURE.write_text(drawn(real))


if __name__ == "__main__":
    main(sys.argv[1:])
