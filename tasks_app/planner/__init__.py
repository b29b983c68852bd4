"""What the clock asks for: open due slots, carry events on, expire. Each pass may run anywhere."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import partial

from sentinel_project import dbfaults
from sentinel_project.clock import Clock
from tasks_app.dispatcher import next_ready
from tasks_app.planner.endings import next_end, note_ended_windows
from tasks_app.planner.events import process_events, release_apart
from tasks_app.planner.expiry import expire_due, next_expiry
from tasks_app.planner.opening import next_due, open_due
from tasks_app.planner.reasons import ReasonRound, note_reasons
from tasks_app.rules.states import Finder

__all__ = [
    "ReasonRound",
    "expire_due",
    "next_due",
    "next_end",
    "next_expiry",
    "note_ended_windows",
    "note_reasons",
    "open_due",
    "process_events",
    "release_apart",
    "run_passes",
]

logger = logging.getLogger(__name__)


def run_passes(*, now: datetime, opens: bool = True, clock: Clock | None = None) -> datetime | None:
    """Run one tick's passes in their order; return the next instant that something is due.

    ``opens=False``: the clock is not to be believed, so no slot is opened and nothing expires.
    """
    carry_on = partial(process_events, by=Finder.BEAT, clock=clock)
    if not opens:
        carry_on(now=now)
        return None
    _run_each((open_due, note_ended_windows, carry_on, expire_due), now)
    instants = (next_due(now=now), next_end(now=now), next_expiry(now=now), next_ready(now=now))
    return min((instant for instant in instants if instant is not None), default=None)


def _run_each(passes: Sequence[Callable[..., int]], now: datetime) -> None:
    """Run all of the passes; one that fails stops no other, and is raised in the end.

    Without a database none would go.
    """
    failure: Exception | None = None
    for run in passes:
        try:
            run(now=now)
        except Exception as error:
            if dbfaults.is_lost(error):
                raise
            if failure is not None:
                logger.exception("planner.pass_failed")
            failure = failure or error
    if failure is not None:
        raise failure
