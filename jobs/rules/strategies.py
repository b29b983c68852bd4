"""Common strategies: which of the expected upstream runs must be done (D-34)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from jobs.rules.enums import CommonStrategy


class Run(Protocol):
    """An expected run of an upstream: a task, or a slot that has none yet."""

    @property
    def due_at(self) -> datetime: ...

    @property
    def is_done(self) -> bool: ...


def is_satisfied(strategy: CommonStrategy, runs: Sequence[Run]) -> bool:
    """Tell whether ``runs`` let the dependent go. No expected run is no evidence: no."""
    if not runs:
        return False
    match strategy:
        case CommonStrategy.ALL:
            return all(run.is_done for run in runs)
        case CommonStrategy.LASTONE:
            return max(runs, key=lambda run: run.due_at).is_done
        case CommonStrategy.ANYONE:
            return any(run.is_done for run in runs)
