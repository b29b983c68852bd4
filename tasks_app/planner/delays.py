"""Delay jobs: the next run comes a while after the end of the previous one (D-17)."""

from __future__ import annotations

from datetime import datetime

from jobs.facts import Facts
from jobs.models import ScheduleExpression
from tasks_app.models import Task
from tasks_app.rules.states import UNFINISHED


def due(facts: Facts, now: datetime) -> list[ScheduleExpression]:
    """Return the delay expressions whose next run has come."""
    rows = [row for row, _ in facts.delays if row.next_due_at is not None]
    return [row for row in rows if row.next_due_at is not None and row.next_due_at <= now]


def has_unfinished(row: ScheduleExpression) -> bool:
    """Tell whether a run of the expression has not ended: at most one at a time."""
    unfinished = [status.value for status in UNFINISHED]
    return Task.objects.filter(opened_by_expression=row, status__in=unfinished).exists()


def restart(facts: Facts) -> None:
    """Set the next due time of each delay whose run has ended, whatever its final status."""
    for row, delay in facts.delays:
        if row.next_due_at is not None or has_unfinished(row):
            continue
        last = Task.objects.filter(opened_by_expression=row).order_by("-ended_at").first()
        if last is None or last.ended_at is None:
            continue
        rows = ScheduleExpression.objects.filter(pk=row.pk, next_due_at__isnull=True)
        rows.update(next_due_at=delay.after_end(last.ended_at))
