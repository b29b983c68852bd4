"""The only place that reads the wall clock; everything else is handed ``now`` (4-house.md 1.4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current instant, aware, in UTC, in whole milliseconds as on the wire (W-4).

    A due time that is a now, of a one-off or a run-now, must be found again by what the wire shows.
    """
    instant = datetime.now(UTC)
    return instant.replace(microsecond=instant.microsecond // 1000 * 1000)


def monotonic() -> float:
    """Return seconds that only ever grow, for deadlines within one process."""
    return time.monotonic()
