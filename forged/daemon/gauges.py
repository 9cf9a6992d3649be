"""What is so now of all targets together, for the metrics page: the limits, and what is in flight behind them."""

from __future__ import annotations

from forged.daemon.fleet import Fleet
from forged.daemon.pool import Pool
from forged.metrics.metrics import Metrics


class Gauges:
    """Told right before the page is read."""

    def __init__(self, fleet: Fleet, pool: Pool, metrics: Metrics) -> None:
        self._fleet, self._pool, self._metrics = fleet, pool, metrics

    def refresh(self) -> None:
        """Every gauge that is not told as it changes."""
        self._fleet.refresh_metrics()
        for member in self._fleet.members:
            name = member.standing.target.name
            self._metrics.in_flight(name, len(member.runner.looks.underway.staging), self._pool.held_bytes(name))
        for limited, (_, bytes_per_s) in self._pool.limits().items():
            self._metrics.bandwidth_limit(limited, bytes_per_s)
