"""The fields of an edit: what a job is and how it is run (D-59)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.db import IntegrityError, transaction
from django.db.models import Q

from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import JobStatus
from jobs.rules.schedule import Delay
from jobs.rules.spec import JobSpec
from jobs.services import checks
from jobs.slots import NO_FAULT, first_slot, next_slot, schedule_of
from sentinel_project.errors import InvalidParameters
from tasks_app import transitions
from tasks_app.models import Task
from tasks_app.rules.states import UNSTARTED, TaskKind

EDITABLE = frozenset(
    {
        "app_name",
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
BINDS = _MOVES_SLOTS | {"expire_after"}
#: A limit that was lowered since does not stand in the way of an edit of something else.
_JUDGED_IF_CHANGED = {"name": "jobName", "priority": "priority", "worker_group_id": "workerGroupId"}
_WORK = {"job_type", "content", "content_type", "extra", "worker_group_id"}
_ABOUT_WORK = ("jobType:", "content:", "contentType:", "params")
_FIRST, _LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def changes_of(old: JobSpec, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of ``wanted`` differs from the job; what is as it was is no change."""
    checks.refuse(f"{name}: it cannot be edited" for name in sorted(set(wanted) - EDITABLE))
    return {name: value for name, value in wanted.items() if value != getattr(old, name)}


def problems_of(job: Job, old: JobSpec, changed: Mapping[str, Any], now: datetime) -> Iterator[str]:
    """Judge the job as a submission would be, but only by what the edit is about."""
    if "app_name" in changed:
        yield f"appName: the job is {job.app.name!r}'s, and stays it"
    if not changed:
        return
    # Status, dependencies and schedule are judged by themselves.
    spec = replace(old, status=JobStatus.ACTIVE, dependencies=(), schedule=(), **changed)
    kept = tuple(f"{wire}:" for name, wire in _JUDGED_IF_CHANGED.items() if name not in changed)
    if not changed.keys() & _WORK:
        kept += _ABOUT_WORK
    for problem in checks.problems_of(spec, app=job.app, zone=zone_of(job, changed), now=now):
        if not problem.startswith(kept):
            yield problem


def zone_of(job: Job, changed: Mapping[str, Any]) -> ZoneInfo:
    """Return the zone that the job is to have."""
    return ZoneInfo(changed.get("time_zone", job.time_zone))


def store(job: Job, changed: Mapping[str, Any]) -> None:
    """Write the changed fields."""
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


def move_cursors(job: Job, old: JobSpec, changed: Mapping[str, Any], now: datetime) -> None:
    """Let every cursor stand where the new zone and window have it.

    Where they begin anew the floor rises. Otherwise what was missed and is yet to be opened stays
    owed.
    """
    if not changed.keys() & _MOVES_SLOTS:
        return
    is_anew = begins_anew(old, changed, now)
    for row in job.expressions.all():
        cursor = _cursor(job, row, is_anew, now)
        floor_at = now if is_anew else row.floor_at
        ScheduleExpression.objects.filter(pk=row.pk).update(
            next_due_at=cursor, floor_at=floor_at, **NO_FAULT
        )


def begins_anew(old: JobSpec, changed: Mapping[str, Any], now: datetime) -> bool:
    """Tell whether slots before now are not owed any more.

    Those of another zone are others; and the window may hold instants that it did not hold before.
    """
    if "time_zone" in changed:
        return True
    start = changed.get("active_from", old.active_from) or _FIRST
    end = changed.get("active_until", old.active_until) or _LAST
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


def follow(job: Job, old: JobSpec, changed: Mapping[str, Any]) -> None:
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


def shown(value: Any) -> Any:
    """Return a value as the audit log has it."""
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
