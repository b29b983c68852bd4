"""ISO 8601 repeating intervals: ``R[count]/[start]/duration`` (D-18)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from isodate import Duration, parse_duration

from .lattice import Lattice, Period
from .refusals import check_length, excerpt, refusal
from .series import Series
from .walltime import SECOND, instant, micros, wall_micros

EXAMPLE = "R5/2026-01-01T03:00:00/P1D or R//PT30M"
_REPEAT = re.compile(r"R([0-9]{0,9})")
_START = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}(:[0-9]{2})?(Z|[+-][0-9]{2}:[0-9]{2})?"
)
_N = "[0-9]{1,12}"
_DURATION = re.compile(
    rf"P(?!$)({_N}W|({_N}Y)?({_N}M)?({_N}D)?(T(?!$)({_N}H)?({_N}M)?({_N}S)?)?)", re.ASCII
)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Interval:
    """A text that was read: its three parts."""

    count: int | None
    start: datetime | None
    period: Period


@dataclass(frozen=True, slots=True)
class Repeating(Series):
    """A repeating interval; ``zone`` is the job's, the arithmetic keeps an offset in the start."""

    text: str
    lattice: Lattice
    zone: tzinfo

    def next_micros(self, at: int) -> int | None:
        return self.lattice.next_micros(at)

    def previous_micros(self, at: int) -> int | None:
        return self.lattice.previous_micros(at)

    def describe(self) -> str:
        """Return the interval as an English sentence."""
        last = self.lattice.last
        times = "" if last is None else f", {last + 1} time{'s' if last else ''}"
        start = instant(self.lattice.start).astimezone(self.zone)
        duration = self.text.rpartition("/")[2]
        return f"every {_words(duration)}{times}, from {start:%Y-%m-%d %H:%M:%S}, {self.zone}"


def parse_iso8601(text: str, *, zone: tzinfo, saved_at: datetime | None) -> Repeating:
    """Return the interval ``text`` names; without a start in it, ``saved_at`` is its first slot."""
    interval = read_iso8601(text)
    last = None if interval.count is None else interval.count - 1
    start, period = interval.start, interval.period
    if start is None:
        assert saved_at is not None
        lattice = Lattice.from_instant(micros(saved_at), period, zone, last=last)
    elif start.tzinfo is None:
        lattice = Lattice.from_wall(wall_micros(start), period, zone, last=last)
    else:
        lattice = Lattice.from_instant(micros(start), period, start.tzinfo, last=last)
    return Repeating(text, lattice, zone)


def read_iso8601(text: str) -> Interval:
    """Return the parts of ``text`` and refuse everything outside the grammar."""
    check_length(text, what="the ISO 8601 interval", example=EXAMPLE)
    parts = text.split("/")
    if len(parts) != 3:
        problem = f"ISO 8601 interval {excerpt(text)} has {len(parts)} parts between slashes"
        raise refusal(f"{problem}, it needs R[count]/[start]/duration", example=EXAMPLE)
    try:
        return Interval(_count(parts[0]), _start(parts[1]), _period(parts[2]))
    except ValueError as error:
        raise refusal(f"ISO 8601 interval {excerpt(text)}: {error}", example=EXAMPLE) from error


def _count(text: str) -> int | None:
    match = _REPEAT.fullmatch(text)
    if match is None:
        raise ValueError(f"part 1 is {excerpt(text)}, it must be R or R and the number of runs")
    if match[1] and int(match[1]) == 0:
        raise ValueError("part 1 asks for no runs at all")
    return int(match[1]) if match[1] else None


def _start(text: str) -> datetime | None:
    if not text:
        return None
    if not _START.fullmatch(text):
        raise ValueError(f"part 2 is {excerpt(text)}, it must read yyyy-MM-ddTHH:mm:ss[offset]")
    try:
        return datetime.fromisoformat(text)
    except ValueError as error:
        raise ValueError(f"part 2 is {excerpt(text)}: {error}") from error


def _period(text: str) -> Period:
    """Return the duration; date and time are read apart, because only the first keeps wall time."""
    if not _DURATION.fullmatch(text):
        raise ValueError(
            f"part 3 is {excerpt(text)}, it must be a duration of whole years to seconds "
            "like P1Y2M3DT4H5M6S, or of weeks alone like P2W"
        )
    date_part, _, time_part = text.partition("T")
    months, days = _read(date_part)
    period = Period(months, days // timedelta(days=1), _read(f"PT{time_part}")[1] // _MICROSECOND)
    if period.average < SECOND:
        raise ValueError("part 3 is no time at all")
    if period.is_too_long:
        raise ValueError("part 3 is longer than 1000 years")
    return period


def _read(text: str) -> tuple[int, timedelta]:
    """Return months and the rest of a duration that may be empty."""
    if text in {"P", "PT"}:
        return 0, timedelta()
    try:
        read = parse_duration(text)
    except OverflowError as error:
        raise ValueError("part 3 is longer than 1000 years") from error
    if isinstance(read, Duration):
        return int(read.years * 12 + read.months), read.tdelta
    return 0, read


def _words(duration: str) -> str:
    names = {"Y": "year", "M": "month", "W": "week", "D": "day"}
    times = {"H": "hour", "M": "minute", "S": "second"}
    date_part, _, time_part = duration.partition("T")
    found = [
        (int(number), table[letter])
        for part, table in ((date_part, names), (time_part, times))
        for number, letter in re.findall(r"([0-9]+)([YMWDHS])", part)
    ]
    return " ".join(f"{n} {name}{'' if n == 1 else 's'}" for n, name in found if n)
