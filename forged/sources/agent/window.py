"""How much is asked of one lane ahead: a rule, measurements in and a decision out.

Enough that the line never runs dry, and no more: what comes anew waits behind it, and whatever lies before the line costs at the
source. (OpenSSH copies all that it holds back whenever that grows: 16 MiB of it cost a connection 3 s of CPU time.)
"""

from __future__ import annotations

LEAST_BYTES, MOST_BYTES = 4 << 20, 32 << 20
"""The least bridges what is written and hashed at once, and starts every lane. The most: 220 MB/s on one lane at 150 ms."""

ALL_BYTES = 36 << 20
"""Of all lanes together, so that the default of [transfer] in_flight (64 MB) never holds them up."""

SHORTEST_LAP_S = 0.008
"""On loopback answers take less than a millisecond, but busy processors are not that punctual."""

GROWING, STEADY = 2.0, 1.5
"""So much more is asked for than came in a round trip: as long as more and more comes, as TCP begins, and from then on. With TCP
buffers of 64 MiB a wire of 1 Gbit and 50 ms dropped, and carried again, 10 % where it was twice all the time."""

GREW = 1.25
"""By so much more than ever before must come in a round trip to count as more: rates are noisy."""

FAIR_LAPS = 2
"""So long it may take for more to come: what is asked for now is here a round trip later, somewhere in the next lap."""

DECAY = 0.75
"""How fast it shrinks, for each lap: a lost packet halts TCP for a moment, and then it goes on at half its speed."""


class Window:
    """Of one lane. As TCP tunes what it announces: more than arrived in a round trip, so that a line that can carry more does."""

    def __init__(self) -> None:
        self.bytes = LEAST_BYTES
        """How much may be asked for and not be written yet."""
        self._lap_bytes = 0
        self._lap_began_s = 0.0
        self._most_a_lap_bytes = 0.0
        self._laps_to_grow = 0

    def arrived(self, size_bytes: int, now_s: float, rtt_s: float, lanes: int) -> None:
        """So much was written by now, on one of so many lanes."""
        self._lap_bytes += size_bytes
        seconds, lap_s = now_s - self._lap_began_s, max(rtt_s, SHORTEST_LAP_S)
        if seconds >= lap_s:
            came_bytes = self._lap_bytes * lap_s / seconds
            self._laps_to_grow = FAIR_LAPS if came_bytes > GREW * self._most_a_lap_bytes else max(self._laps_to_grow - 1, 0)
            self._most_a_lap_bytes = max(self._most_a_lap_bytes, came_bytes)
            headroom = GROWING if self._laps_to_grow else STEADY
            wanted_bytes = max(int(headroom * came_bytes), int(self.bytes * DECAY))
            share_bytes = ALL_BYTES // lanes
            self.bytes = max(min(wanted_bytes, share_bytes, MOST_BYTES), min(LEAST_BYTES, share_bytes))
            self._lap_bytes, self._lap_began_s = 0, now_s
