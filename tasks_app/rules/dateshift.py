"""Shifts of an instant by calendar and clock, and how the result is written (D-86).

Terms are read from left to right. Days, weeks, months and years move the wall clock of the
instant's zone: 31 January plus a month is the last of February. Hours, minutes and seconds are
elapsed time. A wall time that the zone skips is the first instant after the gap, one that it has
twice is the first of the two (D-15); ``/u`` goes back to the start of a unit, weeks to Monday.
"""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from jobs.rules.schedule.walltime import instant, resolve, wall_micros
from sentinel_project.errors import InvalidParameters

_TERM = re.compile(r"([+-])([0-9]{1,6})([smhdwMy])|/([mhdwMy])", re.ASCII)
_TOKEN = re.compile(r"yyyy|MM|dd|HH|mm|ss")
_ELAPSED = {"s": timedelta(seconds=1), "m": timedelta(minutes=1), "h": timedelta(hours=1)}
_OUTSIDE = "it leads out of the calendar, which has the years 1 to 9999"


@dataclass(frozen=True, slots=True)
class Term:
    """``count`` units on or back; 0 of them with ``is_start``: to the start of the unit."""

    count: int
    unit: str
    is_start: bool = False


@dataclass(frozen=True, slots=True)
class Shift:
    terms: tuple[Term, ...] = ()

    @classmethod
    def of_days(cls, days: int) -> Shift:
        return cls((Term(days, "d"),)) if days else cls()

    def applied(self, at: datetime) -> datetime:
        """Return the aware ``at``, shifted, in its own zone."""
        try:
            for term in self.terms:
                at = _applied(term, at)
        except (OverflowError, ValueError):
            raise InvalidParameters(_OUTSIDE) from None
        return at


def parse_shift(text: str) -> Shift:
    """Read a row of terms such as ``+1d-1M/M``."""
    terms: list[Term] = []
    at = 0
    while at < len(text):
        found = _TERM.match(text, at)
        if found is None:
            raise InvalidParameters(
                f"{text[at:]!r} is no shift; write +n or -n with a unit (s m h d w M y, n up to"
                " 999999), or / with a unit, such as +1d-1M or -1M/M"
            )
        sign, count, unit, start = found.groups()
        terms.append(Term(0, start, True) if start else Term(int(f"{sign}{count}"), unit))
        at = found.end()
    return Shift(tuple(terms))


def formatted(at: datetime, pattern: str) -> str:
    """Write ``at`` by ``yyyy MM dd HH mm ss``; other characters are themselves."""
    parts = {
        "yyyy": f"{at.year:04d}",
        "MM": f"{at.month:02d}",
        "dd": f"{at.day:02d}",
        "HH": f"{at.hour:02d}",
        "mm": f"{at.minute:02d}",
        "ss": f"{at.second:02d}",
    }
    return _TOKEN.sub(lambda token: parts[token[0]], pattern)


def _applied(term: Term, at: datetime) -> datetime:
    if term.unit in _ELAPSED:
        by = _since_start(term.unit, at) if term.is_start else term.count * _ELAPSED[term.unit]
        return (at.astimezone(UTC) + by).astimezone(at.tzinfo)
    wall = at.replace(tzinfo=None, fold=0)
    moved = _start(wall, term.unit) if term.is_start else _moved(wall, term)
    return at if moved == wall else _resolved(moved, at)


def _since_start(unit: str, at: datetime) -> timedelta:
    minutes = at.minute if unit == "h" else 0
    return -timedelta(minutes=minutes, seconds=at.second, microseconds=at.microsecond)


def _resolved(wall: datetime, at: datetime) -> datetime:
    assert at.tzinfo is not None
    return instant(resolve(at.tzinfo, wall_micros(wall))).astimezone(at.tzinfo)


def _moved(wall: datetime, term: Term) -> datetime:
    match term.unit:
        case "d":
            return wall + timedelta(days=term.count)
        case "w":
            return wall + timedelta(weeks=term.count)
        case "M":
            return _plus_months(wall, term.count)
        case _:
            return _plus_months(wall, 12 * term.count)


def _plus_months(wall: datetime, count: int) -> datetime:
    years, month = divmod(wall.year * 12 + wall.month - 1 + count, 12)
    if not 1 <= years <= 9999:
        raise ValueError(years)
    return wall.replace(
        year=years, month=month + 1, day=min(wall.day, monthrange(years, month + 1)[1])
    )


def _start(wall: datetime, unit: str) -> datetime:
    midnight = wall.replace(hour=0, minute=0, second=0, microsecond=0)
    match unit:
        case "d":
            return midnight
        case "w":
            return midnight - timedelta(days=midnight.weekday())
        case "M":
            return midnight.replace(day=1)
        case _:
            return midnight.replace(month=1, day=1)
