"""How many lanes get work: a rule, measurements in and decisions out.

A long or lossy line rewards several connections, for each is bound by its own TCP buffers and its own bad luck; loopback and a busy
processor reward one. Nobody can know beforehand, so it is tried: a step to more lanes is kept if it brought something.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

CONNECTION_BYTES = 2_500_000
"""What one connection has on its way with stock TCP buffers: 50 MB/s at 50 ms, 17 MB/s at 150 ms (DESIGN section 8)."""

FAST_BYTES_PER_S = 125_000_000
"""1 Gbit: so many lanes as would fill it are the first guess on a long line."""

FAR_S, LANES_AHEAD = 0.02, 3
"""With answers that take so long, so many lanes of that guess are opened ahead and kept: opening them when there is something to
bring takes the better part of a second, half of what 10,000 small files take in all. Each costs the box 18 MB, and us 1 MB."""

FULL, IDLE = 0.8, 0.9
"""A line that carries this share of 1 Gbit while each connection carries less than that share of what one can is full: at 150 ms
three carried 18 MB/s each, eight 16, and sixteen were no faster (12.6 and 12.0 s for 1 GiB) but cost the box 144 MB more."""

WORTH = 1.1
"""By so much the rate must grow, or what was added is not used any more."""

OPENING_ROUND_TRIPS, OPENING_S = 10, 0.2
"""What opening a lane takes: 9 round trips and an answer, keys and the start of a Python."""

MEASURE_ROUND_TRIPS, MEASURE_S = 4, 0.25
"""How long is measured at a time: TCP opens its window within two or three such measurements, and noise evens out."""

BUSY = 0.6
"""From this share of a core on, it is our own thread that holds things up: on loopback 0.9 is seen, at 1 Gbit 0.25."""

HELD_BACK = 0.5
"""From this share of the time on, it was the sink that the lanes waited for, and nothing is learnt about them."""

FAIR_MEASUREMENTS = 5
"""So long may more lanes take to show that they bring something: a second at 50 ms, time to recover from one lost packet."""

TRY_AGAIN_S = 15.0
"""After so much time of work the world may be another: a limit lifted, a neighbour gone. A trial costs next to nothing."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What the lanes in use did together in some time in which files waited all along."""

    seconds: float
    work_bytes: int
    busy: float
    """Share of the time in which our own thread computed."""
    held_back: float
    """Share of the time in which the lanes waited for the sink's leave to ask for more."""


class Growth:
    """For one source, as long as it is open. Starts with one lane, remembers what it found."""

    def __init__(self, most: int) -> None:
        self.lanes = 1
        """So many get work."""
        self.rtt_s = 0.0
        """The shortest answer that was seen; 0 while none was."""
        self._most = most
        self._aim = 1
        self._guessed = self._settled = False
        self._before: tuple[int, float] | None = None  # lanes and rate before the last step, until it is judged
        self._rate = 0.0  # the highest since then
        self._each = 0.0  # the highest rate of one lane
        self._measurements = 0  # since then
        self._worked_s = 0.0  # since it is settled

    def answered(self, seconds: float) -> None:
        """A question was answered after that long."""
        self.rtt_s = min(self.rtt_s or seconds, seconds)

    @property
    def measure_s(self) -> float:
        """How long to measure."""
        return max(MEASURE_S, MEASURE_ROUND_TRIPS * self.rtt_s)

    @property
    def ahead(self) -> int:
        """How many lanes should be open before there is work for them."""
        return min(self._guess, self._most, LANES_AHEAD) if self.rtt_s >= FAR_S else 1

    @property
    def _guess(self) -> int:
        return math.ceil(FAST_BYTES_PER_S * self.rtt_s / CONNECTION_BYTES)

    # --- steps ------------------------------------------------------------------------------------------------------------

    def wanted(self, waiting_bytes: int) -> int:
        """How many lanes should get work, now that so much waits. If that is more than `lanes`: open them, then say `stepped`."""
        if not self._guessed and self.rtt_s:
            self._guessed = True
            self._aim = max(self._aim, self._guess)
        rate = self._rate or min(FAST_BYTES_PER_S, CONNECTION_BYTES / max(self.rtt_s, 0.001))
        pays = waiting_bytes > rate * (OPENING_ROUND_TRIPS * self.rtt_s + OPENING_S)
        return max(self.lanes, min(self._aim, self._most)) if pays else self.lanes

    def stepped(self, lanes: int, asked: int) -> None:
        """So many get work from now on, of so many that were asked for. Fewer: the source allows no more."""
        if lanes < asked:
            self._settle(lanes)
        elif lanes > self.lanes:
            self._before, self._settled = (self.lanes, self._rate), False
            self.lanes, self._rate, self._measurements = lanes, 0.0, 0

    def measured(self, measurement: Measurement) -> None:
        """Takes in what a measurement has shown. As long as the rate grows by itself (TCP begins slowly), nothing is decided."""
        rate = measurement.work_bytes / measurement.seconds
        self._worked_s += measurement.seconds
        self._each = max(self._each, rate / self.lanes)
        if self._settled:
            self._settled, self._rate = self._worked_s < TRY_AGAIN_S, rate
        elif measurement.held_back < HELD_BACK:
            level = rate <= WORTH * self._rate
            self._rate = max(self._rate, rate)
            self._measurements += 1
            if level:
                self._judge(measurement.busy > BUSY)

    def _judge(self, busy: bool) -> None:
        if self._before is None or self._rate >= WORTH * self._before[1]:
            self._before = None
            if busy or self._is_full or self.lanes >= self._most:
                self._settle(self.lanes)
            else:
                self._aim = max(self._aim, 2 * self.lanes)
        elif self._measurements >= FAIR_MEASUREMENTS:
            lanes, self._before = self._before[0], None
            self._settle(lanes)

    @property
    def _is_full(self) -> bool:
        each = max(self._each, CONNECTION_BYTES / max(self.rtt_s, 0.001))
        return FULL * FAST_BYTES_PER_S <= self._rate < IDLE * each * self.lanes

    def _settle(self, lanes: int) -> None:
        self.lanes = self._aim = lanes
        self._settled, self._worked_s = True, 0.0
