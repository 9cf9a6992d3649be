"""The machine's own time zone, as the C library knows it (TZ, /etc/localtime).

Not by the name of a zone: a container often has /etc/localtime but no name that fits it, or TZ="CET-1CEST" (POSIX), and libraries
that look for the name (tzlocal 5) then give up.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo


class LocalTime(tzinfo):
    """Local time with its changes over the year. Where two moments have the same local time, `fold` tells them apart (PEP 495)."""

    def utcoffset(self, moment: datetime | None) -> timedelta | None:
        return None if moment is None else moment.replace(tzinfo=None).astimezone().utcoffset()

    def dst(self, moment: datetime | None) -> timedelta | None:
        """Not known: the C library tells the offset as a whole."""
        return None

    def tzname(self, moment: datetime | None) -> str:
        return (moment or datetime.now()).replace(tzinfo=None).astimezone().tzname() or ""

    def fromutc(self, moment: datetime) -> datetime:
        wanted = moment.replace(tzinfo=UTC)
        local = wanted.astimezone().replace(tzinfo=self)
        return local if local.astimezone(UTC) == wanted else local.replace(fold=1)
