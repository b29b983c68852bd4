"""Cursors of schedule expressions: where they start, and where they stand after a change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import ExpressionKind
from jobs.rules.schedule import Delay, Schedule, parse
from jobs.rules.spec import ScheduleEdit

#: An expression that is not, or no more, set aside (X-9).
NO_FAULT: dict[str, Any] = {"fault": "", "faults": 0, "aside_until": None}


def new_expression(job: Job, edit: ScheduleEdit, *, now: datetime) -> ScheduleExpression:
    """Return the unsaved row of a new expression: its floor is now, a slot at the floor belongs."""
    row = ScheduleExpression(job=job, kind=edit.kind, text=edit.text, anchor_at=now, floor_at=now)
    row.next_due_at = first_slot(job, row, now=now)
    return row


def schedule_of(job: Job, row: ScheduleExpression) -> Schedule | Delay:
    return parse(ExpressionKind(row.kind), row.text, zone=job.zone, saved_at=row.anchor_at)


def first_slot(
    job: Job, row: ScheduleExpression, *, now: datetime, strictly: bool = False
) -> datetime | None:
    """Return the first slot from ``now`` on (``strictly``: after it) in the active window."""
    schedule = schedule_of(job, row)
    if isinstance(schedule, Delay):
        return schedule.after_end(now)
    start = now if strictly else now - timedelta(microseconds=1)
    return next_slot(job, schedule, start)


def next_slot(job: Job, schedule: Schedule, instant: datetime) -> datetime | None:
    """Return the first slot after ``instant`` in the job's active window; None: there is none."""
    if job.active_from is not None and job.active_from > instant:
        instant = job.active_from - timedelta(microseconds=1)
    slot = schedule.after(instant)
    return slot if slot is not None and job.is_active_at(slot) else None
