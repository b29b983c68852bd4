"""Expiry: tasks that are too late to start are over (D-24)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from jobs.expected import Expectations
from jobs.models import Job
from sentinel_project import prepared
from tasks_app import transitions
from tasks_app.models import Task
from tasks_app.planner.release import look_at
from tasks_app.rules.states import UNSTARTED, TaskStatus

BATCH = 500
_UNSTARTED = [status.value for status in UNSTARTED]


def expire_due(*, now: datetime) -> int:
    """Expire what may not start any more; return how many tasks were looked at."""
    tasks = _overdue(now)
    for task in tasks:
        _expire(task, now)
    return len(tasks)


@prepared.select
def _overdue(now: datetime) -> QuerySet[Task]:
    rows = Task.objects.filter(status__in=_UNSTARTED, expires_at__lte=now, attempt_count=0)
    return rows.select_related("job").order_by("expires_at")[:BATCH]


def next_expiry() -> datetime | None:
    return next(iter(_first_expiry()), None)


@prepared.select
def _first_expiry() -> QuerySet[Task, datetime | None]:
    rows = Task.objects.filter(status__in=_UNSTARTED, expires_at__isnull=False, attempt_count=0)
    return rows.order_by("expires_at").values_list("expires_at", flat=True)[:1]


@transaction.atomic
def _expire(task: Task, now: datetime) -> None:
    """A serial task is looked at once more first: one that only its order holds goes on."""
    if task.job.is_serial and task.status == TaskStatus.WAITING:
        Job.objects.select_for_update(no_key=True).get(pk=task.job_id)
        look_at(task, Expectations(), now=now)
    transitions.expire(task, now=now)
