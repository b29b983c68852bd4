"""Edits of what a job is and how it is run: content, policies, group, zone, window (D-59)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import Q

from jobs import audit, selectors
from jobs.models import App, Job, ScheduleExpression
from jobs.rules.enums import JobStatus
from jobs.rules.schedule import Delay
from jobs.rules.spec import JobSpec
from jobs.services import checks
from jobs.services.edits import lock_graph, locked_job, touch
from jobs.slots import first_slot, next_slot, schedule_of
from sentinel_project.errors import InvalidParameters
from tasks_app import transitions
from tasks_app.models import Task
from tasks_app.rules.states import UNSTARTED, TaskKind

EDITABLE = frozenset(
    {
        "name",
        "job_type",
        "content",
        "content_type",
        "extra",
        "worker_group_id",
        "department",
        "biz_groups",
        "priority",
        "is_serial",
        "is_shared",
        "active_from",
        "active_until",
        "expire_after",
        "max_retries",
        "retry_interval",
        "timeout",
        "misfire_policy",
        "time_zone",
        "callback_url",
    }
)
_MOVES_SLOTS = {"time_zone", "active_from", "active_until"}
_BINDS = _MOVES_SLOTS | {"expire_after"}
#: A limit that was lowered since does not stand in the way of an edit of something else.
_JUDGED_IF_CHANGED = {"name": "jobName", "priority": "priority", "worker_group_id": "workerGroupId"}
_WORK = {"job_type", "content", "content_type", "extra", "worker_group_id"}
_ABOUT_WORK = ("jobType:", "content:", "contentType:", "params")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


@transaction.atomic
def edit_job(job_id: int, changes: Mapping[str, Any], *, app: App, user: str, now: datetime) -> Job:
    """Change fields of a job by the names they have in ``EDITABLE``; a refusal changes nothing.

    What is as it was is no change. Unfinished tasks that have not started follow in worker group,
    priority and expiry; each attempt takes the content of its start.
    """
    checks.refuse(f"{name}: it cannot be edited" for name in sorted(set(changes) - EDITABLE))
    lock_graph()
    job = locked_job(job_id, app)
    old = selectors.spec_of(job)
    before = {name: _value(job, old, name) for name in changes}
    changed = {name: value for name, value in changes.items() if value != before[name]}
    if not changed:
        return job
    _refuse_problems(old, changed, job.app, now)
    _store(job, changed)
    # First: what was parsed of the job before the edit must not answer for it any more.
    touch(job, now=now)
    if changed.keys() & _MOVES_SLOTS:
        _move_cursors(job, old, "time_zone" in changed, now)
    if changed.keys() & _BINDS:
        checks.check_graph(job, now=now)
    _follow(job, old, changed)
    audit.record(
        "job.edit",
        job,
        app=app,
        user=user,
        now=now,
        before={name: _shown(before[name]) for name in changed},
        after={name: _shown(changed[name]) for name in changed},
    )
    return job


def _value(job: Job, spec: JobSpec, name: str) -> Any:
    return getattr(job if name == "is_shared" else spec, name)


def _refuse_problems(old: JobSpec, changed: Mapping[str, Any], owner: App, now: datetime) -> None:
    """Judge the job as a submission would be, but only by what the edit is about."""
    words = {name: value for name, value in changed.items() if name != "is_shared"}
    # Status, dependencies and schedule are not edited here, so they are not judged again either.
    spec = replace(old, status=JobStatus.ACTIVE, dependencies=(), schedule=(), **words)
    assert spec.time_zone is not None
    zone = ZoneInfo(spec.time_zone)
    kept = tuple(f"{wire}:" for name, wire in _JUDGED_IF_CHANGED.items() if name not in changed)
    if not changed.keys() & _WORK:
        kept += _ABOUT_WORK
    problems = checks.problems_of(spec, app=owner, zone=zone, now=now)
    checks.refuse(problem for problem in problems if not problem.startswith(kept))


def _store(job: Job, changed: Mapping[str, Any]) -> None:
    for name, value in changed.items():
        setattr(job, name, _column(name, value))
    if "active_until" in changed:
        job.is_over_noted = False
    try:
        with transaction.atomic():
            job.save(update_fields=[*changed, "is_over_noted"])
    except IntegrityError as error:
        # The name is the only thing that somebody else can have taken meanwhile.
        if "name" not in changed:
            raise
        problem = f"jobName: the app has a job named {job.name!r} already"
        raise InvalidParameters(problem) from error


def _column(name: str, value: Any) -> Any:
    if name == "biz_groups":
        return "".join(f",{group}" for group in value) + ("," if value else "")
    if name == "extra":
        return dict(value)
    return value.value if isinstance(value, Enum) else value


# -- slots -----------------------------------------------------------------------------------------


def _move_cursors(job: Job, old: JobSpec, is_zone_new: bool, now: datetime) -> None:
    """Let every cursor stand where the new zone and window have it.

    Slots before now that no window held until now are not owed: the floor rises. Otherwise what
    was missed and is yet to be opened stays owed.
    """
    is_anew = is_zone_new or _holds_past_anew(job, old, now)
    for row in job.expressions.all():
        cursor = _cursor(job, row, is_anew, now)
        floor_at = now if is_anew else row.floor_at
        ScheduleExpression.objects.filter(pk=row.pk).update(next_due_at=cursor, floor_at=floor_at)


def _holds_past_anew(job: Job, old: JobSpec, now: datetime) -> bool:
    """Tell whether the window holds instants before now that it did not hold before."""
    start, end = job.active_from or _FIRST, job.active_until or _LAST
    starts_earlier = start < min(old.active_from or _FIRST, now)
    return starts_earlier or (old.active_until or _LAST) < min(end, now)


def _cursor(job: Job, row: ScheduleExpression, is_anew: bool, now: datetime) -> datetime | None:
    schedule = schedule_of(job, row)
    if isinstance(schedule, Delay):
        return row.next_due_at
    if not is_anew and row.next_due_at is not None and row.next_due_at <= now:
        return next_slot(job, schedule, row.next_due_at - timedelta(microseconds=1))
    return first_slot(job, row, now=now, strictly=True)


# -- tasks -----------------------------------------------------------------------------------------


def _follow(job: Job, old: JobSpec, changed: Mapping[str, Any]) -> None:
    """Give the copies in tasks that have not started what the job says now."""
    rows = Task.objects.filter(job=job, status__in=[status.value for status in UNSTARTED])
    if "priority" in changed:
        rows.update(priority=job.priority)
    if "worker_group_id" in changed:
        # A ring went to the queue of the old group; the new one is rung anew.
        group_id = cast(int, job.worker_group_id)
        rows.update(worker_group_id=group_id)
        transitions.unring(rows)
    if "expire_after" in changed:
        tasks = list(rows.filter(_expiring(old), attempt_count=0, is_asked=False))
        for task in tasks:
            task.expires_at = job.expires_at(task.due_at)
        Task.objects.bulk_update(tasks, ["expires_at"], batch_size=500)


def _expiring(old: JobSpec) -> Q:
    """Return which tasks expire, or would if the job had said so: not the filled ones (D-55)."""
    if old.expire_after:
        return Q(expires_at__isnull=False)
    opened = Q(opened_by_expression__isnull=False) | Q(named_by__isnull=False)
    return opened | Q(kind=TaskKind.TEMP.value)


def _shown(value: Any) -> Any:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return value / timedelta(seconds=1)
        case tuple():
            return list(value)
        case Enum():
            return value.value
        case Mapping():
            return dict(value)
        case _:
            return value
