"""Status changes of a job, and what they mean for its slots and tasks (D-56)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from jobs import audit
from jobs.models import App, Job, ScheduleExpression
from jobs.rules.enums import JobStatus
from jobs.services.edits import locked_job, touch
from jobs.slots import NO_FAULT, first_slot
from sentinel_project import prepared
from sentinel_project.errors import InvalidParameters, NotFound, Refused
from tasks_app import transitions
from tasks_app.models import Task
from tasks_app.rules.states import UNSTARTED, Reason


@transaction.atomic
def set_status(job_id: int, status: JobStatus, *, app: App, user: str, now: datetime) -> Job:
    """Move a job to ``status``; the same status again changes nothing.

    Refused: TRASHED is final here, EXPIRED is derived (D-1).
    """
    if status is JobStatus.EXPIRED:
        raise InvalidParameters("status: 3 EXPIRED is derived and cannot be set; 1, 2, 4 or 5")
    job = locked_job(job_id, app)
    before = JobStatus(job.status)
    if before is status:
        return job
    job.status = status
    if status is JobStatus.PAUSED and job.paused_at is None:
        job.paused_at = now
    if before is JobStatus.DISABLED and status is not JobStatus.TRASHED:
        _raise_floor(job, now)
    job.save(update_fields=["status", "paused_at", "floor_at"])
    if status in {JobStatus.DISABLED, JobStatus.TRASHED}:
        _remove_unstarted(job, status, user, now)
    audit.record(
        "job.status",
        job,
        app=app,
        user=user,
        before={"status": before.name},
        after={"status": status.name},
        now=now,
    )
    touch(job, now=now)
    return job


@transaction.atomic
def restore_job(job_id: int, *, app: App, user: str, now: datetime) -> Job:
    """Take a TRASHED job back as DISABLED: for the operators of the admin site alone (D-56)."""
    rows = Job.objects.select_for_update(of=("self",), no_key=True).select_related("app")
    job = rows.filter(pk=job_id).first()
    if job is None:
        raise NotFound(f"no job {job_id}")
    if job.status != JobStatus.TRASHED:
        raise Refused(f"job {job_id} is not TRASHED")
    if any(_closings(job.app_id)):
        raise Refused(f"app {job.app.name} was deleted: the job would run for nobody")
    namesakes = Job.objects.filter(app=job.app_id, name=job.name)
    if namesakes.exclude(status=JobStatus.TRASHED).exists():
        raise Refused(f"the app has another job named {job.name!r} by now; rename that one first")
    job.status = JobStatus.DISABLED
    job.save(update_fields=["status"])
    audit.record(
        "job.restore",
        job,
        app=app,
        user=user,
        before={"status": "TRASHED"},
        after={"status": "DISABLED"},
        now=now,
    )
    touch(job, now=now)
    return job


@prepared.select_held
def _closings(app_id: int) -> QuerySet[App, datetime | None]:
    """Return when the app was deleted; one that was not stays so until the transaction ends."""
    return App.objects.filter(pk=app_id).values_list("closed_at", flat=True)


def _raise_floor(job: Job, now: datetime) -> None:
    """Leave DISABLED without catching up: everything starts anew from here (D-23)."""
    job.floor_at = now
    job.paused_at = now if job.status == JobStatus.PAUSED else None
    for row in job.expressions.all():
        next_due_at = first_slot(job, row, now=now)
        ScheduleExpression.objects.filter(pk=row.pk).update(
            floor_at=now, next_due_at=next_due_at, **NO_FAULT
        )


def _remove_unstarted(job: Job, status: JobStatus, user: str, now: datetime) -> None:
    """Remove what has not started; in a DISABLED job what an operator asked for stays."""
    rows = Task.objects.filter(job=job, status__in=[status.value for status in UNSTARTED])
    if status is JobStatus.DISABLED:
        rows = rows.filter(is_asked=False)
    is_trash = status is JobStatus.TRASHED
    reason = Reason.JOB_TRASHED if is_trash else Reason.JOB_DISABLED
    text = f"{user} {'trashed' if is_trash else 'disabled'} the job"
    for task in rows.select_related("job").order_by("due_at", "pk"):
        transitions.remove(task, user=user, now=now, reason=reason, text=text)
