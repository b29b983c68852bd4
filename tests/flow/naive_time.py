"""Slots, hours and days as somebody has them who walks through time minute by minute.

Nothing here is shared with the engine: a zone's clock is read at every minute of two weeks, and
whatever is asked is looked up in that list.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cached_property, lru_cache
from itertools import accumulate
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
_BEFORE, _AFTER = 3 * DAY, 13 * DAY
OFFSETS = ("", "ch", "h(-1)", "cd", "d(-1)")


@dataclass(frozen=True, slots=True)
class Pattern:
    """A cron by the minutes and hours that it names; ``hours`` None: in every hour."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int] | None = None


PATTERNS = (
    Pattern("0 0 * * * ?", frozenset({0})),
    Pattern("0 0/30 * * * ?", frozenset({0, 30})),
    Pattern("0 0/20 * * * ?", frozenset({0, 20, 40})),
    Pattern("0 30 1-3 * * ?", frozenset({30}), frozenset({1, 2, 3})),
    Pattern("0 10,45 0/2 * * ?", frozenset({10, 45}), frozenset(range(0, 24, 2))),
    Pattern("0 5 0,23 * * ?", frozenset({5}), frozenset({0, 23})),
)


class Clock:
    """What the clocks of a zone show at each minute around an instant."""

    def __init__(self, zone: str, around: datetime) -> None:
        local = ZoneInfo(zone)
        first = around.astimezone(UTC) - _BEFORE
        self.minutes = [first + n * MINUTE for n in range((_BEFORE + _AFTER) // MINUTE)]
        self.walls = [at.astimezone(local).replace(tzinfo=None) for at in self.minutes]
        #: The latest time that was ever shown: in a fold it stands still.
        self._latest = list(accumulate(self.walls, max))

    def reaches(self, wall: datetime) -> datetime | None:
        """Return when ``wall`` is first shown, or passed by in a gap."""
        place = bisect_left(self._latest, wall)
        return self.minutes[place] if place < len(self.minutes) else None

    def slots(self, pattern: Pattern) -> list[datetime]:
        """Return when a pattern fires: by elapsed time, or each wall time once (D-15)."""
        if pattern.hours is None:
            shown = zip(self.minutes, self.walls, strict=True)
            return [at for at, wall in shown if wall.minute in pattern.minutes]
        times = [time(h, m) for h in pattern.hours for m in pattern.minutes]
        found = {self.reaches(datetime.combine(day, at)) for day in self._days() for at in times}
        return sorted(at for at in found if at is not None)

    def window(self, offset: str, due: datetime) -> tuple[datetime, datetime]:
        """Return what an offset looks at around a due time, as [start, end) (4.1)."""
        match offset:
            case "":
                return due, due + MINUTE
            case "ch":
                return self._hour(due), self._hour(due) + HOUR
            case "h(-1)":
                return self._hour(due) - HOUR, self._hour(due)
            case "cd":
                return self._day(due)
            case _:
                return self._day(self._day(due)[0] - MINUTE)

    def _hour(self, due: datetime) -> datetime:
        """Walk back to a full hour, or to where the clocks changed."""
        place = (due - self.minutes[0]) // MINUTE
        while self.walls[place].minute and self.walls[place] - self.walls[place - 1] == MINUTE:
            place -= 1
        return self.minutes[place]

    def _day(self, due: datetime) -> tuple[datetime, datetime]:
        """Return the last day that has begun by then; a day begins at its first instant."""
        place = bisect_right(self._midnights, due) - 1
        return self._midnights[place], self._midnights[place + 1]

    @cached_property
    def _midnights(self) -> list[datetime]:
        found = {self.reaches(datetime.combine(day, time())) for day in self._days()}
        return sorted(at for at in found if at is not None)

    def _days(self) -> list[date]:
        """Return the days of the list but its first, whose beginning is not in it."""
        return [self.walls[0].date() + n * DAY for n in range(1, (_BEFORE + _AFTER) // DAY)]


@lru_cache(maxsize=64)
def clock_of(zone: str, around: datetime) -> Clock:
    return Clock(zone, around)


@lru_cache(maxsize=512)
def slots_of(zone: str, around: datetime, pattern: Pattern) -> tuple[datetime, ...]:
    return tuple(clock_of(zone, around).slots(pattern))
