"""What the clock asks for: open due slots, carry events on, expire. Each pass may run anywhere."""

from __future__ import annotations

from datetime import datetime

from tasks_app.dispatcher import next_ready
from tasks_app.planner.events import process_events
from tasks_app.planner.expiry import expire_due, next_expiry
from tasks_app.planner.opening import next_due, open_due

__all__ = ["expire_due", "next_due", "next_expiry", "open_due", "process_events", "run_passes"]


def run_passes(*, now: datetime) -> datetime | None:
    """Run one tick's passes in their order; return the next instant that something is due."""
    open_due(now=now)
    process_events(now=now)
    expire_due(now=now)
    instants = (next_due(now=now), next_expiry(), next_ready(now=now))
    return min((instant for instant in instants if instant is not None), default=None)
