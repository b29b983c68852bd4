"""Claims: how a worker takes a READY task, the one it was rung for or the one that is next.

The gates are asked once more, under the locks of what is counted (D-40, D-80).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from jobs.models import App, Job
from sentinel_project import prepared
from tasks_app import dispatcher, gates, ledger, transitions
from tasks_app.executors import starts_at_once
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import Reason, TaskStatus
from tasks_app.rules.timing import Lease


def claim(
    task_id: int, *, worker: str, lease: Lease, now: datetime, starts: bool = False
) -> Attempt | None:
    """Take a READY task if its gates let it start; None: it stays, or it was not to be had.

    The locks of what is counted come before the task's own, as everywhere else. ``starts``: what
    needs no process of its own starts at once, in the same transaction.
    """
    with transaction.atomic():
        task = next(iter(_candidate(task_id)), None)
        if task is None or not _is_ready(task, now):
            return None
        if task.job.is_serial:
            Job.objects.select_for_update(no_key=True).get(pk=task.job_id)
        if task.job.app.max_concurrency:
            App.objects.select_for_update(no_key=True).get(pk=task.job.app_id)
        return _pass_gates(task, worker=worker, lease=lease, now=now, starts=starts)


def claim_next(group_id: int, *, worker: str, lease: Lease, now: datetime) -> Attempt | None:
    """Take what is next in a group. Here the task's lock comes first, so no other is waited for.

    It may be part of the transaction that ends the task before, and then fails or succeeds with it.
    """
    with transaction.atomic(savepoint=False):
        task = dispatcher.first_startable(group_id, now=now)
        if task is None or not _is_free(task):
            return None
        return _pass_gates(task, worker=worker, lease=lease, now=now, starts=True)


def _is_free(task: Task) -> bool:
    """Lock what is counted, where it is; False: somebody else has it, so leave it to the bell."""
    counted: list[QuerySet[Any]] = []
    if task.job.is_serial:
        counted.append(Job.objects.filter(pk=task.job_id))
    if task.job.app.max_concurrency:
        counted.append(App.objects.filter(pk=task.job.app_id))
    return all(
        rows.select_for_update(skip_locked=True, no_key=True).first() is not None
        for rows in counted
    )


def _pass_gates(
    task: Task, *, worker: str, lease: Lease, now: datetime, starts: bool
) -> Attempt | None:
    """Claim a task whose locks are held, unless a gate says no: then its reason is stored.

    The lease is counted from the database's clock, whatever ours says.
    """
    is_paused, read_at = bool(vars(task)["is_paused"]), vars(task)["read_at"]
    blocking = gates.first_blocking(gates.starting_gates(task, is_paused=is_paused, now=now))
    if blocking is None:
        return transitions.claim(
            task,
            worker=worker,
            lease_until=read_at + lease.length,
            starts=starts and starts_at_once(task.job.job_type),
            now=now,
        )
    if blocking.reason is Reason.EXPIRED:
        transitions.expire(task, now=now)
    elif blocking.reason is not None:
        transitions.wait(task, blocking.reason, blocking.text, gate=blocking.name, now=now)
    return None


@prepared.select
def _candidate(task_id: int) -> QuerySet[Task]:
    return ledger.for_claim(Task.objects.filter(pk=task_id))


def _is_ready(task: Task, now: datetime) -> bool:
    return task.status == TaskStatus.READY and task.ready_at is not None and task.ready_at <= now
