"""Release: WAITING tasks go when nothing holds them any more (D-37)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TypeAlias

from django.db.models import Q, QuerySet

from jobs.expected import Expectations
from jobs.rules.offsets import window
from sentinel_project import prepared
from tasks_app import gates, transitions
from tasks_app.models import Task
from tasks_app.rules.states import Reason, TaskKind, TaskStatus

#: Tasks looked at in one transaction: its locks must not be held for seconds.
TASKS_AT_ONCE = 250

#: A place among waiting tasks: due time, job, task.
Place: TypeAlias = tuple[datetime, int, int]
BEGINNING: Place = (datetime.min.replace(tzinfo=UTC), 0, 0)


def release_waiting(
    job_ids: Sequence[int],
    expectations: Expectations,
    *,
    now: datetime,
    behind: Place = BEGINNING,
    ended: Task | None = None,
    by: str = "",
) -> Place | None:
    """Look at WAITING tasks of jobs whose locks the caller holds, the earliest due first.

    Returns behind which of them to go on in another transaction; None: those were all.
    ``ended``: only those that this task's end can concern. ``by``: what changed, in words.
    """
    by = f"the end of task {ended.pk} of job {ended.job_id}" if ended else by
    tasks = _waiting(job_ids) if behind == BEGINNING else _waiting_behind(job_ids, *behind)
    for task in tasks:
        if ended is not None and ended.batch_id not in {None, task.batch_id}:
            continue
        if ended is None or _concerns(task, ended, expectations):
            look_at(task, expectations, by=by, now=now)
    if len(tasks) < TASKS_AT_ONCE:
        return None
    return tasks[-1].due_at, tasks[-1].job_id, tasks[-1].pk


@prepared.select
def _waiting(job_ids: Sequence[int]) -> QuerySet[Task]:
    rows = Task.objects.filter(job_id__in=job_ids, status=TaskStatus.WAITING.value)
    return rows.select_related("job").order_by("due_at", "job_id", "pk")[:TASKS_AT_ONCE]


@prepared.select
def _waiting_behind(
    job_ids: Sequence[int], due_at: datetime, job_id: int, task_id: int
) -> QuerySet[Task]:
    same_due = Q(due_at=due_at)
    rows = Task.objects.filter(
        Q(due_at__gt=due_at)
        | (same_due & Q(job_id__gt=job_id))
        | (same_due & Q(job_id=job_id, pk__gt=task_id)),
        job_id__in=job_ids,
        status=TaskStatus.WAITING.value,
    )
    return rows.select_related("job").order_by("due_at", "job_id", "pk")[:TASKS_AT_ONCE]


def _concerns(task: Task, ended: Task, expectations: Expectations) -> bool:
    """Tell whether a waiting task looks at the due time of the one that ended."""
    if task.job_id == ended.job_id:
        return task.job.is_serial
    if ended.kind == TaskKind.TEMP:
        return True
    zone = task.job.zone
    return any(
        window(upstream.offset, task.due_at, zone).contains(ended.due_at)
        for upstream in expectations.facts(task.job_id).upstreams
        if upstream.job_id == ended.job_id
    )


def look_at(task: Task, expectations: Expectations, *, by: str = "", now: datetime) -> None:
    """Release one WAITING task whose job is locked, or keep what holds it."""
    blocking = gates.first_blocking(gates.holding_gates(task, expectations, now=now))
    if blocking is None:
        transitions.release(task, by=by, now=now)
        return
    if blocking.name == "serial" and task.expires_at is not None:
        transitions.stop_expiry(task)
    assert blocking.reason is not None
    reason = Reason(blocking.reason)
    transitions.wait(task, reason, blocking.text, gate=blocking.name, now=now)
