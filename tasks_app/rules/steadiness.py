"""Whether the wall clock can be believed: a sudden step ahead must not open a year of slots (X-9).

The monotonic clock knows how much time has passed. A wall clock that ran ahead of it by more than
a minute is held for doubtful until another clock confirms it, or until it has kept its new course
for a while. A step back is harmless: cursors never move backwards, and a slot has one task.
"""

from __future__ import annotations

from datetime import datetime, timedelta

JUMP = timedelta(minutes=1)
PROVES_ITSELF_AFTER = timedelta(minutes=2)


class Steadiness:
    """Watches the wall clock of one process against its monotonic one."""

    def __init__(self, wall: datetime, monotonic: float) -> None:
        self._believed = wall - timedelta(seconds=monotonic)
        self._doubtful_since: float | None = None

    def is_steady(self, wall: datetime, monotonic: float, *, is_confirmed: bool = False) -> bool:
        """Tell whether ``wall`` can be acted upon; ``is_confirmed``: another clock agrees."""
        course = wall - timedelta(seconds=monotonic)
        if course - self._believed <= JUMP or is_confirmed:
            self._believed, self._doubtful_since = course, None
            return True
        if self._doubtful_since is None:
            self._doubtful_since = monotonic
        if monotonic - self._doubtful_since < PROVES_ITSELF_AFTER.total_seconds():
            return False
        self._believed, self._doubtful_since = course, None
        return True
