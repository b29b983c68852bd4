"""The only place that reads the wall clock; everything else is handed ``now`` (4-house.md 1.4).

A process may agree on a time with others: then ``now`` goes on from the instant that they agreed
on by the clock that counts from the boot, whatever becomes of this host's wall clock.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]

#: What two readings of one clock may differ by, beside their round trips.
_TOLERANCE = timedelta(milliseconds=50)
_ZERO = datetime(1970, 1, 1, tzinfo=UTC)
#: What the clock of the boot read at ``_ZERO``, as agreed on, and when that was, by the same clock.
_agreed: tuple[timedelta, float] | None = None


def now() -> datetime:
    """Return the current instant, aware, in UTC, in whole milliseconds as on the wire (W-4).

    A due time that is a now, of a one-off or a run-now, must be found again by what the wire shows.
    """
    instant = wall() if _agreed is None else _ZERO + timedelta(seconds=since_boot()) - _agreed[0]
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def wall() -> datetime:
    """Return what this host's wall clock reads, right or wrong."""
    return datetime.now(UTC)


def agree(theirs: datetime, *, at: float, within: float = 0) -> None:
    """Go by ``theirs`` from now on, which was read when the clock of the boot said ``at``.

    It was read ``within`` so many seconds of it: a difference that this explains is none.
    """
    global _agreed
    course = timedelta(seconds=at) - (theirs - _ZERO)
    explained = _TOLERANCE + timedelta(seconds=within)
    if _agreed is not None and abs(course - _agreed[0]) < explained:
        course = _agreed[0]
    _agreed = course, at


def agreed_for() -> float | None:
    """Return for how many seconds ``now`` has gone by what was agreed on; None: it does not."""
    return None if _agreed is None else since_boot() - _agreed[1]


def since_boot() -> float:
    """Return seconds that only ever grow and go on while the host is suspended, if it has such."""
    return time.clock_gettime(_BOOT)


_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def monotonic() -> float:
    """Return seconds that only ever grow, for deadlines within one process."""
    return time.monotonic()
