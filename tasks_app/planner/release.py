"""Release: WAITING tasks go when nothing holds them any more (D-37)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db.models import QuerySet

from jobs.expected import Expectations
from jobs.rules.offsets import window
from sentinel_project import prepared
from tasks_app import gates, transitions
from tasks_app.models import Task
from tasks_app.rules.states import Reason, TaskKind, TaskStatus


def release_waiting(
    job_ids: Sequence[int],
    expectations: Expectations,
    *,
    now: datetime,
    ended: Task | None = None,
    by: str = "",
) -> None:
    """Look at the WAITING tasks of jobs whose locks the caller holds, the earliest due first.

    ``ended``: only those that this task's end can concern. ``by``: what changed, in words.
    """
    by = f"the end of task {ended.pk} of job {ended.job_id}" if ended else by
    for task in _waiting(job_ids):
        if ended is not None and ended.batch_id not in {None, task.batch_id}:
            continue
        if ended is None or _concerns(task, ended, expectations):
            _look_at(task, expectations, by, now)


@prepared.select
def _waiting(job_ids: Sequence[int]) -> QuerySet[Task]:
    rows = Task.objects.filter(job_id__in=job_ids, status=TaskStatus.WAITING.value)
    return rows.select_related("job").order_by("due_at", "job_id")


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


def _look_at(task: Task, expectations: Expectations, by: str, now: datetime) -> None:
    blocking = gates.first_blocking(gates.holding_gates(task, expectations, now=now))
    if blocking is None:
        transitions.release(task, by=by, now=now)
        return
    if blocking.name == "serial" and task.expires_at is not None:
        transitions.stop_expiry(task)
    assert blocking.reason is not None
    reason = Reason(blocking.reason)
    transitions.wait(task, reason, blocking.text, gate=blocking.name, now=now)
