"""Wall time and instants: what a zone's clocks show, through gaps and folds (D-10, D-15).

A zone is read as segments: spans of instants with one offset. Between two segments clocks go
forward (a gap: wall times that never show) or back (a fold: wall times that show twice). Everything
is whole numbers since the epoch, so nothing overflows at the ends of the calendar.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache

SECOND = 1_000_000
DAY_SECONDS = 86_400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_MICROSECOND = timedelta(microseconds=1)


def micros(instant: datetime) -> int:
    """Return an aware instant as microseconds since the epoch."""
    return (instant - EPOCH) // _MICROSECOND


def instant(at: int) -> datetime:
    """Return microseconds since the epoch as an aware UTC instant."""
    return EPOCH + timedelta(microseconds=at)


def wall_micros(wall: datetime) -> int:
    """Return a naive wall time as microseconds since the epoch's midnight."""
    return micros(wall.replace(tzinfo=UTC))


# Two days short of the calendar's ends: what lies between has a wall time in every zone.
FIRST = datetime(1, 1, 3, tzinfo=UTC)
LAST = datetime(9999, 12, 29, tzinfo=UTC)
FIRST_MICROS = micros(FIRST)
LAST_MICROS = micros(LAST)
_FIRST_SECOND = FIRST_MICROS // SECOND
_LAST_SECOND = LAST_MICROS // SECOND


@dataclass(frozen=True, slots=True)
class Segment:
    """Instants from ``start`` up to ``end``, in epoch seconds; wall time is instant + ``offset``.

    ``previous`` is the offset just before ``start``. Years also part segments, so it may be equal.
    """

    start: int
    end: int
    offset: int
    previous: int

    @property
    def opens(self) -> int:
        """The first wall second that is resolved here; the gap before ``start`` belongs to us."""
        return self.start + self.previous

    @property
    def closes(self) -> int:
        """The wall second at which the next segment takes over."""
        return self.end + self.offset


def segment_at(zone: tzinfo, second: int) -> Segment:
    """Return the segment that holds ``second``, moved into the calendar if it lies outside."""
    second = min(max(second, _FIRST_SECOND), _LAST_SECOND)
    year = date.fromordinal(second // DAY_SECONDS + EPOCH_ORDINAL).year
    for segment in _segments_of_year(zone, year):
        if second < segment.end:
            return segment
    raise AssertionError((zone, second))


def resolve(zone: tzinfo, wall: int) -> int:
    """Return the instant of a wall time: the first of two, or the end of its gap (D-15)."""
    second = wall // SECOND
    segment = segment_at(zone, second - segment_at(zone, second).offset)
    while second >= segment.closes and segment.end <= _LAST_SECOND:
        segment = segment_at(zone, segment.end)
    while second < segment.opens and segment.start > _FIRST_SECOND:
        segment = segment_at(zone, segment.start - 1)
    return max(segment.start * SECOND, wall - segment.offset * SECOND)


def wall_of(zone: tzinfo, at: int) -> int:
    """Return what the zone's clocks show at an instant, both in microseconds."""
    return at + segment_at(zone, at // SECOND).offset * SECOND


def clock_change(zone: tzinfo, at: datetime) -> str | None:
    """Say how the zone's clocks change on the local day of ``at``; None: they do not."""
    day = wall_of(zone, micros(at)) // (DAY_SECONDS * SECOND)
    start = resolve(zone, day * DAY_SECONDS * SECOND) // SECOND
    segment = segment_at(zone, start)
    end = resolve(zone, (day + 1) * DAY_SECONDS * SECOND) // SECOND
    while segment.end < end:
        segment = segment_at(zone, segment.end)
        if segment.offset != segment.previous:
            return _change(segment)
    return (
        _change(segment) if segment.start == start and segment.offset > segment.previous else None
    )


def _change(segment: Segment) -> str:
    way = "forward" if segment.offset > segment.previous else "back"
    seen, shown = (
        f"{instant((segment.start + offset) * SECOND):%H:%M}"
        for offset in (segment.previous, segment.offset)
    )
    return f"clocks go {way} from {seen} to {shown} on this day"


@lru_cache(maxsize=16_384)
def _segments_of_year(zone: tzinfo, year: int) -> tuple[Segment, ...]:
    start = (date(year, 1, 1).toordinal() - EPOCH_ORDINAL) * DAY_SECONDS
    days = date(year, 12, 31).timetuple().tm_yday
    found: list[Segment] = []
    previous = _offset(zone, start - 1)
    offset = _offset(zone, start)
    for moment, changed in _changes(zone, start, days):
        found.append(Segment(start, moment, offset, previous))
        start, previous, offset = moment, offset, changed
    end = (date(year, 12, 31).toordinal() + 1 - EPOCH_ORDINAL) * DAY_SECONDS
    return (*found, Segment(start, end, offset, previous))


def _changes(zone: tzinfo, start: int, days: int) -> Iterator[tuple[int, int]]:
    """Yield each change of the offset within ``days``: its second and the new offset."""
    offset = _offset(zone, start)
    for day in range(start, start + days * DAY_SECONDS, DAY_SECONDS):
        last = day + DAY_SECONDS - 1
        if (changed := _offset(zone, last)) != offset:
            yield _first_second(zone, day - 1, last, changed), changed
            offset = changed


def _first_second(zone: tzinfo, before: int, after: int, offset: int) -> int:
    """Return the first second of ``offset`` between one without and one with it."""
    while after - before > 1:
        middle = (before + after) // 2
        if _offset(zone, middle) == offset:
            after = middle
        else:
            before = middle
    return after


def _offset(zone: tzinfo, second: int) -> int:
    second = min(max(second, _FIRST_SECOND), _LAST_SECOND)
    offset = (EPOCH + timedelta(seconds=second)).astimezone(zone).utcoffset()
    assert offset is not None
    return offset // timedelta(seconds=1)
