"""What the clock asks for: open due slots, carry events on, expire. Each pass may run anywhere."""

from __future__ import annotations

from datetime import datetime

from tasks_app.dispatcher import next_ready
from tasks_app.planner.endings import next_end, note_ended_windows
from tasks_app.planner.events import process_events
from tasks_app.planner.expiry import expire_due, next_expiry
from tasks_app.planner.opening import next_due, open_due
from tasks_app.planner.reasons import note_reasons
from tasks_app.rules.states import Finder

__all__ = [
    "expire_due",
    "next_due",
    "next_end",
    "next_expiry",
    "note_ended_windows",
    "note_reasons",
    "open_due",
    "process_events",
    "run_passes",
]


def run_passes(*, now: datetime, opens: bool = True) -> datetime | None:
    """Run one tick's passes in their order; return the next instant that something is due.

    ``opens=False``: the clock is not to be believed, so no slot is opened and nothing expires.
    """
    if not opens:
        process_events(by=Finder.BEAT, now=now)
        return None
    open_due(now=now)
    note_ended_windows(now=now)
    process_events(by=Finder.BEAT, now=now)
    expire_due(now=now)
    instants = (next_due(now=now), next_end(), next_expiry(), next_ready(now=now))
    return min((instant for instant in instants if instant is not None), default=None)
