"""Cron: five fields as in unix, six or seven with the second first (D-12 to D-15)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo

from .cron_calendar import WallTimes
from .cron_text import read_cron
from .describe import describe_cron
from .series import Series
from .walltime import DAY_SECONDS, SECOND, Segment, segment_at

# No offset is as large: that long before a wall time, its instant has not come yet.
_LEAP = 3 * DAY_SECONDS


@dataclass(frozen=True, slots=True)
class Cron(Series):
    """A parsed expression in a zone.

    ``elapsed``: the hour field covers the whole day, so slots are the instants whose wall time
    matches, through gaps and folds. Otherwise each wall time names one instant (D-15).
    """

    text: str
    times: WallTimes
    zone: tzinfo
    elapsed: bool

    def next_micros(self, at: int) -> int | None:
        second = at // SECOND
        segment = segment_at(self.zone, second)
        wall = self.times.at_or_after(max(second + 1 + segment.offset, self._opens(segment)))
        while wall is not None and wall >= segment.closes:
            following = segment_at(self.zone, segment.end)
            if following == segment:
                return None
            if self.elapsed and following.offset != following.previous:
                segment = following
                wall = self.times.at_or_after(self._opens(segment))
            else:
                segment = segment_at(self.zone, max(segment.end, wall - _LEAP))
        return None if wall is None else self._instant(segment, wall)

    def previous_micros(self, at: int) -> int | None:
        second = -(-at // SECOND) - 1
        segment = segment_at(self.zone, second)
        wall = self.times.at_or_before(min(second + segment.offset, segment.closes - 1))
        while wall is not None and wall < self._opens(segment):
            preceding = segment_at(self.zone, segment.start - 1)
            if preceding == segment:
                return None
            # Where clocks went back, the wall times before are later than those of the repetition.
            wall = self.times.at_or_before(preceding.closes - 1)
            has_changed = segment.offset != segment.previous
            if (self.elapsed and has_changed) or wall is None:
                segment = preceding
            else:
                segment = segment_at(self.zone, min(segment.start - 1, wall + _LEAP))
        return None if wall is None else self._instant(segment, wall)

    def _opens(self, segment: Segment) -> int:
        """Return the first wall second of which ``segment`` decides the instant."""
        return segment.start + segment.offset if self.elapsed else segment.opens

    def _instant(self, segment: Segment, wall: int) -> int:
        return max(segment.start, wall - segment.offset) * SECOND

    def describe(self) -> str:
        """Return the expression as an English sentence."""
        return f"{describe_cron(self.times)}, {self.zone}"


def parse_cron(text: str, *, zone: tzinfo) -> Cron:
    """Return the expression ``text`` names, or refuse it with the field and the reason."""
    read = read_cron(text)
    return Cron(read.text, read.times, zone, read.covers_all_hours)
