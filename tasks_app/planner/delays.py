"""Delay jobs: the next run comes a while after the end of the previous one (D-17)."""

from __future__ import annotations

from jobs.facts import Facts
from jobs.models import ScheduleExpression
from tasks_app.models import Task
from tasks_app.rules.states import UNFINISHED


def has_unfinished(expression_id: int) -> bool:
    """Tell whether a run of the expression has not ended: at most one at a time."""
    unfinished = [status.value for status in UNFINISHED]
    return Task.objects.filter(
        opened_by_expression_id=expression_id, status__in=unfinished
    ).exists()


def restart(facts: Facts) -> None:
    """Set the next due time of each delay whose run has ended, whatever its final status."""
    for expression_id, delay in facts.delays:
        waiting = ScheduleExpression.objects.filter(pk=expression_id, next_due_at__isnull=True)
        if not waiting.exists() or has_unfinished(expression_id):
            continue
        runs = Task.objects.filter(opened_by_expression_id=expression_id)
        last = runs.order_by("-ended_at").first()
        if last is not None and last.ended_at is not None:
            waiting.update(next_due_at=delay.after_end(last.ended_at))
