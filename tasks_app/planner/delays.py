"""Delay jobs: the next run comes a while after the end of the previous one (D-17)."""

from __future__ import annotations

from jobs.facts import Facts
from jobs.models import ScheduleExpression
from tasks_app import ledger


def restart(facts: Facts) -> None:
    """Set the next due time of each delay whose run has ended, whatever its final status."""
    if ledger.has_unfinished_delay(facts.job.pk):
        return
    last = ledger.delay_runs(facts.job.pk).order_by("-ended_at").first()
    if last is None or last.ended_at is None:
        return
    for expression_id, delay in facts.delays:
        waiting = ScheduleExpression.objects.filter(pk=expression_id, next_due_at__isnull=True)
        waiting.update(next_due_at=delay.after_end(last.ended_at))
