"""What every series of slots can be asked: the next, the previous, those of a span (D-11)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime

from .walltime import FIRST_MICROS, LAST_MICROS, instant, micros


class Series(ABC):
    """Slots in ascending order, counted in microseconds; to the outside they are UTC instants."""

    def after(self, instant: datetime) -> datetime | None:
        """Return the first slot strictly after ``instant``; None: the series is over."""
        return _slot(self.next_micros(max(micros(instant), FIRST_MICROS - 1)))

    def before(self, instant: datetime) -> datetime | None:
        """Return the last slot strictly before ``instant``; None: there is none."""
        return _slot(self.previous_micros(min(micros(instant), LAST_MICROS + 1)))

    def between(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the slots from ``start`` up to ``end``, which is excluded."""
        limit = min(micros(end), LAST_MICROS + 1)
        at = self.next_micros(max(micros(start), FIRST_MICROS) - 1)
        while at is not None and at < limit:
            yield instant(at)
            at = self.next_micros(at)

    @abstractmethod
    def next_micros(self, at: int) -> int | None:
        """Return the first slot strictly after ``at``."""

    @abstractmethod
    def previous_micros(self, at: int) -> int | None:
        """Return the last slot strictly before ``at``."""


def _slot(at: int | None) -> datetime | None:
    return None if at is None or not FIRST_MICROS <= at <= LAST_MICROS else instant(at)
