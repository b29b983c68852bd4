"""Which wall times a cron expression names, whatever the zone: a search over days (D-14).

Wall times are whole seconds since the epoch's midnight. Every search ends with the years that cron
knows (1970-2099, D-12), so an expression that never fires is found out at once.
"""

from __future__ import annotations

from bisect import bisect_left
from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date

from .cron_fields import YEARS, Specials
from .walltime import DAY_SECONDS, EPOCH_ORDINAL

_FIRST_DAY = date(YEARS.low, 1, 1).toordinal() - EPOCH_ORDINAL
_LAST_DAY = date(YEARS.high, 12, 31).toordinal() - EPOCH_ORDINAL


@dataclass(frozen=True, slots=True)
class DayField:
    """One of the two day fields: its plain values and what depends on the month."""

    values: frozenset[int]
    specials: Specials
    restricts: bool


@dataclass(frozen=True, slots=True)
class Days:
    """Which days of a month match: both fields, or in the vixie case either of them (D-14)."""

    of_month: DayField
    of_week: DayField
    either: bool
    months: tuple[int, ...]
    years: tuple[int, ...]
    _known: dict[tuple[int, int], tuple[int, ...]] = field(
        default_factory=dict, compare=False, repr=False
    )

    def in_month(self, year: int, month: int) -> tuple[int, ...]:
        """Return the matching days of a month as epoch days, ascending."""
        days = self._known.get((year, month))
        if days is None:
            days = self._known[year, month] = self._find(year, month)
        return days

    def _find(self, year: int, month: int) -> tuple[int, ...]:
        first_weekday, length = monthrange(year, month)
        by_month = _month_days(self.of_month, first_weekday, length)
        by_week = _week_days(self.of_week, first_weekday, length)
        origin = date(year, month, 1).toordinal() - EPOCH_ORDINAL - 1
        found = by_month | by_week if self.either else by_month & by_week
        return tuple(origin + day for day in sorted(found))

    def at_or_after(self, day: int) -> int | None:
        """Return the first matching epoch day from ``day`` on."""
        if day > _LAST_DAY:
            return None
        start = date.fromordinal(max(day, _FIRST_DAY) + EPOCH_ORDINAL)
        for year, month in self._months_from(start.year, start.month):
            days = self.in_month(year, month)
            if days and days[-1] >= day:
                return days[bisect_left(days, day)]
        return None

    def at_or_before(self, day: int) -> int | None:
        """Return the last matching epoch day up to ``day``."""
        if day < _FIRST_DAY:
            return None
        start = date.fromordinal(min(day, _LAST_DAY) + EPOCH_ORDINAL)
        for year, month in self._months_back(start.year, start.month):
            days = self.in_month(year, month)
            if days and days[0] <= day:
                return days[bisect_left(days, day + 1) - 1]
        return None

    def _months_from(self, year: int, month: int) -> Iterator[tuple[int, int]]:
        for each in self.years[bisect_left(self.years, year) :]:
            for number in self.months:
                if each > year or number >= month:
                    yield each, number

    def _months_back(self, year: int, month: int) -> Iterator[tuple[int, int]]:
        for each in reversed(self.years[: bisect_left(self.years, year + 1)]):
            for number in reversed(self.months):
                if each < year or number <= month:
                    yield each, number


@dataclass(frozen=True, slots=True)
class WallTimes:
    """The matching wall times: days, minutes of the day and seconds of the minute."""

    days: Days
    minutes: tuple[int, ...]
    seconds: tuple[int, ...]

    def at_or_after(self, wall: int) -> int | None:
        """Return the first matching wall second from ``wall`` on; None: there is none."""
        day, rest = divmod(wall, DAY_SECONDS)
        found = self.days.at_or_after(day)
        if found == day:
            minute, second = divmod(rest, 60)
            index = bisect_left(self.minutes, minute)
            if index < len(self.minutes) and self.minutes[index] == minute:
                if second <= self.seconds[-1]:
                    at = self.seconds[bisect_left(self.seconds, second)]
                    return day * DAY_SECONDS + minute * 60 + at
                index += 1
            if index < len(self.minutes):
                return day * DAY_SECONDS + self.minutes[index] * 60 + self.seconds[0]
            found = self.days.at_or_after(day + 1)
        if found is None:
            return None
        return found * DAY_SECONDS + self.minutes[0] * 60 + self.seconds[0]

    def at_or_before(self, wall: int) -> int | None:
        """Return the last matching wall second up to ``wall``; None: there is none."""
        day, rest = divmod(wall, DAY_SECONDS)
        found = self.days.at_or_before(day)
        if found == day:
            minute, second = divmod(rest, 60)
            index = bisect_left(self.minutes, minute + 1) - 1
            if index >= 0 and self.minutes[index] == minute:
                if second >= self.seconds[0]:
                    at = self.seconds[bisect_left(self.seconds, second + 1) - 1]
                    return day * DAY_SECONDS + minute * 60 + at
                index -= 1
            if index >= 0:
                return day * DAY_SECONDS + self.minutes[index] * 60 + self.seconds[-1]
            found = self.days.at_or_before(day - 1)
        if found is None:
            return None
        return found * DAY_SECONDS + self.minutes[-1] * 60 + self.seconds[-1]


def _month_days(days: DayField, first_weekday: int, length: int) -> set[int]:
    specials = days.specials
    found = {day for day in days.values if day <= length}
    found |= {length - back for back in specials.from_end}
    near = set(specials.near) | {length - back for back in specials.near_from_end}
    found |= {_nearest_workday(day, first_weekday, length) for day in near if 1 <= day <= length}
    return {day for day in found if day >= 1}


def _week_days(days: DayField, first_weekday: int, length: int) -> set[int]:
    found = {
        day for day in range(1, length + 1) if (first_weekday + day - 1) % 7 + 1 in days.values
    }
    for weekday, nth in days.specials.nth:
        first = (weekday - 1 - first_weekday) % 7 + 1
        last = first + (length - first) // 7 * 7
        day = last if nth < 0 else first + (nth - 1) * 7
        if day <= length:
            found.add(day)
    return found


def _nearest_workday(day: int, first_weekday: int, length: int) -> int:
    """Return the nearest day from Monday to Friday that lies in the same month."""
    weekday = (first_weekday + day - 1) % 7
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < length else day - 2
    return day
