"""How long a job is set aside whose slots could not be planned (X-9)."""

from __future__ import annotations

from datetime import timedelta

FIRST_PAUSE = timedelta(seconds=10)
LONGEST_PAUSE = timedelta(minutes=5)
_DOUBLINGS = 5


def pause_after(faults: int) -> timedelta:
    """Return the pause after one more fault: it doubles, so that a mended release is found soon."""
    growth: int = 2 ** min(faults, _DOUBLINGS)
    return min(FIRST_PAUSE * growth, LONGEST_PAUSE)
