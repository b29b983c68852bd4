"""Offset strategies: which span of upstream due times one dependency looks at (D-30, D-31).

An offset is a pair of whole numbers of one unit, counted from T, the dependent's due time truncated
to that unit in the job's zone: [T + first, T + last). Minutes and hours are elapsed time; a day
begins at its first instant, also where midnight does not exist (D-35).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from sentinel_project.errors import InvalidParameters

from .schedule.walltime import (
    DAY_SECONDS,
    EPOCH_ORDINAL,
    FIRST_MICROS,
    LAST_MICROS,
    SECOND,
    instant,
    micros,
    resolve,
    segment_at,
    wall_of,
)
from .windows import Window

_CURRENT = re.compile(r"c(?P<unit>[mhdwMy])")
_CALL = re.compile(r"(?P<unit>[mhdwMy])\((?P<p>-?[0-9]{1,6})(?:,(?P<q>-?[0-9]{1,6}))?\)")
_ELAPSED = {"m": 60 * SECOND, "h": 3600 * SECOND}
_DAY = DAY_SECONDS * SECOND
_FORMS = 'cd, d(-1), d(1), d(-2,-1) or "" (units m h d w M y)'


@dataclass(frozen=True, slots=True)
class Offset:
    """A parsed offset: the window [T + ``first`` units, T + ``last`` units).

    ``unit`` is None for the empty offset, whose window is the due time itself.
    """

    text: str
    unit: str | None
    first: int
    last: int

    @property
    def holds_due(self) -> bool:
        """Whether the window holds the due time itself, so that the upstream can name it (D-36)."""
        return self.unit is None or self.first <= 0 < self.last


@lru_cache(maxsize=1024)
def parse_offset(text: str) -> Offset:
    """Return the offset ``text`` names, or refuse it and show the valid forms."""
    if not text:
        return Offset(text, None, 0, 0)
    if match := _CURRENT.fullmatch(text):
        return Offset(text, match["unit"], 0, 1)
    match = _CALL.fullmatch(text)
    if match is None:
        raise _refusal(text, "is not an offsetStrategy")
    first = int(match["p"])
    if match["q"] is None:
        if first == 0:
            raise _refusal(text, "is an empty window: zero units")
        return Offset(text, match["unit"], min(first, 0), max(first, 0))
    last = int(match["q"])
    if first >= last:
        raise _refusal(text, f"is an empty window: {first} is not before {last}")
    return Offset(text, match["unit"], first, last)


def _refusal(text: str, problem: str) -> InvalidParameters:
    shown = repr(text if len(text) <= 60 else text[:57] + "...")
    return InvalidParameters(f"{shown} {problem}; a correct example: {_FORMS}")


def window(offset: Offset, due_at: datetime, zone: ZoneInfo) -> Window:
    """Return the window of ``offset`` around ``due_at``, in UTC."""
    if offset.unit is None:
        at = instant(micros(due_at))
        return Window(at, at)
    start = truncate(offset.unit, due_at, zone)
    return Window(
        shift(offset.unit, start, offset.first, zone), shift(offset.unit, start, offset.last, zone)
    )


def truncate(unit: str, at: datetime, zone: ZoneInfo) -> datetime:
    """Return the first instant of the minute, hour, day, week, month or year that holds ``at``."""
    moment = micros(at)
    wall = wall_of(zone, moment)
    if unit in _ELAPSED:
        # An hour in which clocks change begins anew at the change, so that it holds ``at``.
        floor = moment - wall % _ELAPSED[unit]
        return instant(max(floor, segment_at(zone, moment // SECOND).start * SECOND))
    day = wall // _DAY
    if _first_instant(day + 1, zone) <= moment:
        day += 1  # clocks went back over midnight, and the next day had begun already
    return _clamped(_first_instant(_start_of(unit, day), zone))


def shift(unit: str, start: datetime, n: int, zone: ZoneInfo) -> datetime:
    """Return the first instant of the period ``n`` units after the one that begins at ``start``."""
    moment = micros(start)
    if unit in _ELAPSED:
        return _clamped(moment + n * _ELAPSED[unit])
    day = wall_of(zone, moment) // _DAY
    if unit in "dw":
        return _clamped(_first_instant(day + n * (7 if unit == "w" else 1), zone))
    origin = date.fromordinal(day + EPOCH_ORDINAL)
    year, month = divmod(origin.year * 12 + origin.month - 1 + n * (12 if unit == "y" else 1), 12)
    if not 1 <= year <= 9999:
        return instant(FIRST_MICROS if n < 0 else LAST_MICROS)
    return _clamped(_first_instant(_epoch_day(date(year, month + 1, 1)), zone))


def _start_of(unit: str, day: int) -> int:
    """Return the first epoch day of the day, week, month or year that holds ``day``."""
    if unit == "d":
        return day
    on = date.fromordinal(day + EPOCH_ORDINAL)
    if unit == "w":
        return day - on.weekday()
    return _epoch_day(on.replace(day=1) if unit == "M" else on.replace(month=1, day=1))


def _epoch_day(on: date) -> int:
    return on.toordinal() - EPOCH_ORDINAL


def _first_instant(day: int, zone: ZoneInfo) -> int:
    return resolve(zone, day * _DAY)


def _clamped(moment: int) -> datetime:
    return instant(min(max(moment, FIRST_MICROS), LAST_MICROS))
