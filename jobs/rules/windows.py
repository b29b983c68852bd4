"""Windows: the spans of upstream due times that dependencies look at (4.1)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time in UTC, start included and end excluded; with start = end, that instant."""

    start: datetime
    end: datetime

    @property
    def is_instant(self) -> bool:
        """Whether it is the due time itself, which only the empty offset names."""
        return self.start == self.end

    def contains(self, at: datetime) -> bool:
        """Tell whether ``at`` lies in the window."""
        return at == self.start if self.is_instant else self.start <= at < self.end
