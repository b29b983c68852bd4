"""Slots at start + k periods: the arithmetic of rates, delays and ISO intervals (D-15, D-16).

Seconds, minutes and hours are elapsed time. Days, weeks, months and years keep the wall time; they
are counted from the start, so 31 January plus two months is 31 March.
"""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, tzinfo

from .series import Series
from .walltime import DAY_SECONDS, EPOCH_ORDINAL, LAST_MICROS, SECOND, resolve, wall_of

_DAY = DAY_SECONDS * SECOND
_AVERAGE_MONTH = _DAY * 146_097 // 4_800  # the calendar repeats after 400 years of 146,097 days
_BEYOND = LAST_MICROS * 2  # stands for every slot past the end of the calendar
_LAST_DAY = LAST_MICROS // _DAY
LONGEST = 1000 * 12 * _AVERAGE_MONTH


@dataclass(frozen=True, slots=True)
class Period:
    """One step of a lattice: date parts keep the wall time, ``elapsed`` microseconds pass."""

    months: int = 0
    days: int = 0
    elapsed: int = 0

    @property
    def average(self) -> int:
        """The mean length in microseconds."""
        return self.months * _AVERAGE_MONTH + self.days * _DAY + self.elapsed

    @property
    def is_too_long(self) -> bool:
        """Whether it exceeds a thousand years: nobody means that, and no calendar holds it."""
        return self.average > LONGEST


@dataclass(frozen=True, slots=True)
class Lattice(Series):
    """Slots number ``first`` to ``last`` (None: endless), number k being start + k periods.

    ``start`` is an instant and ``wall`` the wall time from which date parts count, in microseconds.
    """

    start: int
    wall: int
    period: Period
    zone: tzinfo
    first: int = 0
    last: int | None = None

    @classmethod
    def from_instant(
        cls, start: int, period: Period, zone: tzinfo, *, first: int = 0, last: int | None = None
    ) -> Lattice:
        return cls(start, wall_of(zone, start), period, zone, first, last)

    @classmethod
    def from_wall(
        cls, wall: int, period: Period, zone: tzinfo, *, first: int = 0, last: int | None = None
    ) -> Lattice:
        return cls(resolve(zone, wall), wall, period, zone, first, last)

    def slot(self, k: int) -> int:
        """Return slot number ``k``; past the calendar's end, something later than all slots."""
        period = self.period
        if k == 0 or not (period.months or period.days):
            return self.start + k * period.elapsed
        day, time_of_day = divmod(self.wall, _DAY)
        day = _plus_months(day, k * period.months) + k * period.days
        if day >= _LAST_DAY:
            return _BEYOND
        return resolve(self.zone, day * _DAY + time_of_day) + k * period.elapsed

    def next_micros(self, at: int) -> int | None:
        k = max(self.first, (at - self.start) // self.period.average)
        while k > self.first and self.slot(k - 1) > at:
            k -= 1
        while (found := self.slot(k)) <= at:
            k += 1
        return None if self.last is not None and k > self.last else found

    def previous_micros(self, at: int) -> int | None:
        k = max(self.first, (at - self.start) // self.period.average)
        while self.slot(k) < at:
            k += 1
        if self.last is not None:
            k = min(k, self.last + 1)
        while k > self.first:
            k -= 1
            if (found := self.slot(k)) < at:
                return found
        return None


def _plus_months(day: int, months: int) -> int:
    """Return the epoch day ``months`` later, at the month's end if it has no such day."""
    if not months:
        return day
    origin = date.fromordinal(day + EPOCH_ORDINAL)
    year, month = divmod(origin.year * 12 + origin.month - 1 + months, 12)
    if year > 9999:
        return _LAST_DAY
    last = monthrange(year, month + 1)[1]
    return date(year, month + 1, min(origin.day, last)).toordinal() - EPOCH_ORDINAL
