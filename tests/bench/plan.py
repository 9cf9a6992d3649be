"""Which races are run: those a person asks for, or the whole programme that the README quotes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

from tests.bench.course import Place
from tests.bench.net import LOOPBACK, MS50, MS50_LOSS, MS150, Buffers, LinkSpec

LINKS: dict[str, LinkSpec | None] = {"loopback": LOOPBACK, "50ms": MS50, "150ms": MS150, "50ms-loss": MS50_LOSS}

PARALLEL = {"loopback": 3, "50ms": 8, "150ms": 16, "50ms-loss": 16}
"""`parallel_transfers` for each link, unless asked otherwise: what one would set for such a box. Not all need be used."""

ALL = ("forged", "once", "rsync", "rclone", "lftp")


@dataclass(frozen=True)
class Ground:
    """What several races share: all of them are run while one link is up."""

    link: str
    buffers: Buffers = Buffers.STOCK
    place: Place = Place.MEMORY


@dataclass(frozen=True)
class Heat:
    """A set on a ground, with these contestants in turn, so many times."""

    ground: Ground
    data: str
    contestants: tuple[str, ...]
    rounds: int = 3


def asked(
    data: Sequence[str], links: Sequence[str], buffers: Sequence[Buffers], places: Sequence[Place], who: Sequence[str], rounds: int
) -> list[Heat]:
    """Each with each."""
    grounds = [Ground(*ground) for ground in product(links, buffers, places)]
    return [Heat(ground, name, tuple(who), rounds) for ground in grounds for name in data]


def programme(rounds: int) -> list[Heat]:
    """All that is told in the README: about an hour. Far away the slow ones (rclone and lftp take minutes for a tree) race once."""
    return [*_near(rounds), *_far(rounds), *_special(rounds)]


def _near(rounds: int) -> Iterator[Heat]:
    for data in ("many", "large", "tiny", "tree", "rescan"):
        yield Heat(Ground("loopback"), data, ALL, rounds)
    yield Heat(Ground("loopback", place=Place.DISK), "many", ("forged", "rsync"), rounds)


def _far(rounds: int) -> Iterator[Heat]:
    two = ("forged", "rsync")
    for data in ("many", "large", "tiny", "tree", "rescan"):
        more = ("rsync-list",) if data in ("tree", "rescan") else ()
        yield Heat(Ground("50ms"), data, (*two, "once", *more), rounds)
        yield Heat(Ground("50ms"), data, ("rclone", "lftp"), 1)
    for data in ("many", "large"):
        yield Heat(Ground("50ms", Buffers.LARGE), data, two, rounds)
        yield Heat(Ground("150ms"), data, two, min(rounds, 2))
        yield Heat(Ground("150ms"), data, ("rclone", "lftp"), 1)
        yield Heat(Ground("150ms", Buffers.LARGE), data, two, min(rounds, 2))


def _special(rounds: int) -> Iterator[Heat]:
    yield Heat(Ground("50ms-loss"), "lossy", ALL, rounds)
    yield Heat(Ground("50ms"), "many", ("forged-1", "forged-3"), rounds)
    yield Heat(Ground("50ms"), "changed", ("forged", "rsync"), 1)
    yield Heat(Ground("loopback"), "million", ("forged",), 1)
