"""Sums by the day, which stay when runs leave: how many ended how, and how long they ran (X-33)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta

from tasks_app.models import DailySum, Task
from tasks_app.retention.horizons import Leaving
from tasks_app.rules.states import TaskStatus

_COLUMNS = {
    TaskStatus.SUCCESS: "success",
    TaskStatus.FAILED: "failed",
    TaskStatus.KILLED: "killed",
    TaskStatus.REMOVED: "removed",
}
_SPAN = tuple[int, datetime | None, datetime | None]


def add(leaving: Leaving, tasks: Iterable[Task], attempts: Iterable[_SPAN]) -> None:
    """Add runs that leave, and their attempts, to their days; the caller holds the job's lock."""
    found: dict[tuple[date, str], DailySum] = {}
    by_task: dict[int, DailySum] = {}
    for task in tasks:
        key = (task.due_at.astimezone(leaving.zone).date(), task.kind)
        if key not in found:
            found[key] = _sum_of(leaving.job_id, *key)
        day = by_task[task.pk] = found[key]
        column = _COLUMNS[TaskStatus(task.status)]
        setattr(day, column, getattr(day, column) + 1)
    for task_id, started, ended in attempts:
        day = by_task[task_id]
        day.attempts += 1
        ran = ended - started if started is not None and ended is not None else timedelta(0)
        day.ran_for += ran
        day.longest = max(day.longest, ran)
    for day in found.values():
        day.save()


def _sum_of(job_id: int, day: date, kind: str) -> DailySum:
    known = DailySum.objects.filter(job_id=job_id, day=day, kind=kind).first()
    return known or DailySum(job_id=job_id, day=day, kind=kind)
