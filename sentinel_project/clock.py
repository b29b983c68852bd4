"""The only place that reads the wall clock; everything else is handed ``now`` (4-house.md 1.4)."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def now() -> datetime:
    """Return the current instant, aware, in UTC."""
    return datetime.now(UTC)


def monotonic() -> float:
    """Return seconds that only ever grow, for deadlines within one process."""
    return time.monotonic()
