"""One box behind several addresses, which change: its direct one, its provider's proxy, another port after each start.

Whoever learns of an address changes the `Route`; it is read at every connection. The same host key is demanded at all of them,
since the pin belongs to the box, so a recycled address that is another box by now is one that does not fit: the next is tried.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Self

from forged.model.errors import AuthRefused, HostKeyChanged, HostKeyUnknown, SourceError, SourceLost, SourceUnreachable
from forged.model.target import SourceAddress
from forged.sources.base import Source
from forged.sources.coat import Coat

ELSEWHERE = (HostKeyChanged, HostKeyUnknown, AuthRefused, SourceUnreachable, SourceLost)
"""Errors of an opening after which another address may be the right one; the ones that say most come first."""


class Route:
    """Where one box may be reached now, the best address first; and why nobody need try, where that is so."""

    def __init__(self, addresses: Sequence[SourceAddress] = (), nobody_there: str = "") -> None:
        self.addresses = tuple(addresses)
        self.nobody_there = nobody_there
        """In words; empty where somebody may answer."""
        self._worked: SourceAddress | None = None

    @property
    def order(self) -> tuple[SourceAddress, ...]:
        """In which they are tried: the one that worked last is the first, as long as it is one of them."""
        preferred = [self._worked] if self._worked in self.addresses else []
        return (*preferred, *(one for one in self.addresses if one not in preferred))

    @property
    def current(self) -> SourceAddress | None:
        """To be shown: the one that is used, or would be tried first."""
        return next(iter(self.order), None)

    def change(self, addresses: Sequence[SourceAddress], nobody_there: str) -> bool:
        """What is known from now on. True when there is something new to try."""
        before, was_empty = self.addresses, bool(self.nobody_there)
        self.addresses, self.nobody_there = tuple(addresses), nobody_there
        return not nobody_there and (was_empty or bool(set(self.addresses) - set(before)))

    def worked(self, address: SourceAddress) -> None:
        """A connection there has opened."""
        self._worked = address


class Routed(Coat):
    """A source at whichever address of a route answers first. `make` answers a closed source for an address."""

    def __init__(self, route: Route, make: Callable[[SourceAddress], Source]) -> None:
        super().__init__()
        self._route = route
        self._make = make

    async def __aenter__(self) -> Self:
        """Raises what the address that says most has to say, when none of them will do."""
        told: list[SourceError] = []
        for address in self._route.order:
            source = self._make(address)
            try:
                await source.__aenter__()
            except ELSEWHERE as error:
                told.append(error)
                continue
            self._route.worked(address)
            self.inside = source
            return self
        if not told:
            raise SourceUnreachable(self._route.nobody_there or "no address of this box is known")
        raise min(told, key=lambda error: next(rank for rank, kind in enumerate(ELSEWHERE) if isinstance(error, kind)))
