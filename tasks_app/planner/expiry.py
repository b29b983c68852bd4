"""Expiry: tasks that are too late to start are over (D-24)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from django.db import transaction
from django.db.models import Q, QuerySet

from jobs.expected import Expectations
from jobs.models import Job
from sentinel_project import prepared
from tasks_app import transitions
from tasks_app.apart import attempt
from tasks_app.models import Task
from tasks_app.planner.release import look_at
from tasks_app.rules.states import UNSTARTED, TaskStatus

BATCH = 500
_UNSTARTED = [status.value for status in UNSTARTED]


def expire_due(*, now: datetime) -> int:
    """Expire what may not start any more; return how many tasks were."""
    expired = 0
    behind = (datetime.min.replace(tzinfo=UTC), 0)
    while tasks := _overdue(now, *behind):
        for task in tasks:
            expired += attempt(partial(_expire, task, now), "task.not_expired", task_id=task.pk)
        assert tasks[-1].expires_at is not None
        behind = tasks[-1].expires_at, tasks[-1].pk
    return expired


@prepared.select
def _overdue(now: datetime, expires_at: datetime, task_id: int) -> QuerySet[Task]:
    is_behind = Q(expires_at__gt=expires_at) | Q(expires_at=expires_at, pk__gt=task_id)
    rows = Task.objects.filter(
        is_behind, status__in=_UNSTARTED, expires_at__lte=now, attempt_count=0
    )
    # Without their jobs: joined, SQLite with statistics begins with all of those.
    return rows.order_by("expires_at", "pk")[:BATCH]


def next_expiry(*, now: datetime) -> datetime | None:
    """Return the next instant behind now; what is overdue after a pass is left to the next one."""
    return next(iter(_first_expiry(now)), None)


@prepared.select
def _first_expiry(now: datetime) -> QuerySet[Task, datetime | None]:
    rows = Task.objects.filter(status__in=_UNSTARTED, expires_at__gt=now, attempt_count=0)
    return rows.order_by("expires_at").values_list("expires_at", flat=True)[:1]


@transaction.atomic
def _expire(task: Task, now: datetime) -> None:
    """A serial task is looked at once more first: one that only its order holds goes on."""
    if task.job.is_serial and task.status == TaskStatus.WAITING:
        Job.objects.select_for_update(no_key=True).get(pk=task.job_id)
        look_at(task, Expectations(), now=now)
    transitions.expire(task, now=now)
