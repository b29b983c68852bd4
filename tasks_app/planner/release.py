"""Release: WAITING tasks go when nothing holds them any more (D-37)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from operator import itemgetter
from typing import TypeAlias

from django.db.models import Q, QuerySet

from jobs.expected import Expectations
from jobs.facts import Upstream
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
    ended: Sequence[Task] | None = None,
    by: str = "",
) -> Place | None:
    """Look at WAITING tasks of jobs whose locks the caller holds, the earliest due first.

    Returns behind which of them to go on in another transaction; None: those were all.
    ``ended``: only those that the ends of these tasks can concern; the last that does is what
    changed. ``by``: what changed, in words.
    """
    ends = None if ended is None else _by_job(ended)
    tasks = _waiting(job_ids) if behind == BEGINNING else _waiting_behind(job_ids, *behind)
    for task in tasks:
        if ends is None:
            look_at(task, expectations, by=by, now=now)
        elif (end := _last_concerning(task, ends, expectations)) is not None:
            by = f"the end of task {end.pk} of job {end.job_id}"
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


#: Tasks that ended, by their jobs, each with its place in the order of their ends.
_Placed: TypeAlias = list[tuple[int, Task]]
_Ends: TypeAlias = dict[int, _Placed]


def _by_job(ended: Sequence[Task]) -> _Ends:
    ends: _Ends = {}
    for place, task in enumerate(ended):
        ends.setdefault(task.job_id, []).append((place, task))
    return ends


def _last_concerning(task: Task, ends: _Ends, expectations: Expectations) -> Task | None:
    """Return the last end at whose due time a waiting task looks."""
    own = ends.get(task.job_id, []) if task.job.is_serial else []
    found = [(place, end) for place, end in own if end.batch_id in {None, task.batch_id}]
    for upstream in expectations.facts(task.job_id).upstreams:
        if theirs := ends.get(upstream.job_id):
            found += _within(theirs, task, upstream)
    return max(found, key=itemgetter(0))[1] if found else None


def _within(theirs: _Placed, task: Task, upstream: Upstream) -> _Placed:
    span = window(upstream.offset, task.due_at, task.job.zone)
    return [
        (place, end)
        for place, end in theirs
        if end.batch_id in {None, task.batch_id}
        and (end.kind == TaskKind.TEMP or span.contains(end.due_at))
    ]


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
