"""What every edit of a job does first and last: lock it, and leave an event (D-58)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from jobs.models import App, Job, new_revision
from jobs.rules.enums import JobStatus
from sentinel_project.errors import NotFound, Refused
from tasks_app import transitions, wakeup
from tasks_app.models import SystemState, Task

CHANGED_MEANWHILE = "somebody changed the job meanwhile; reload its page and edit it again"


@dataclass(frozen=True, slots=True)
class JobChange:
    """What an edit did: the slot that it skipped, or the task that gave way, if any (D-57)."""

    job: Job
    skipped: datetime | None = None
    gave_way: Task | None = None


def locked_job(job_id: int, app: App, *, revision: int | None = None) -> Job:
    """Return a job the app may act on, locked; a trashed one is not edited any more (D-56).

    A job of another app is unknown (W-21), unless the app is an ADMIN (D-80).
    Refused if it has another ``revision`` by now than the one that an edit was made of.
    """
    job = (
        Job.objects.select_for_update(of=("self",), no_key=True)
        .select_related("app")
        .filter(pk=job_id)
        .first()
    )
    if job is None or not (app.is_admin or job.app_id == app.pk):
        raise NotFound(f"no job {job_id}")
    if job.status == JobStatus.TRASHED:
        raise Refused(f"job {job_id} is TRASHED, which is final")
    if revision not in {None, job.revision}:
        raise Refused(CHANGED_MEANWHILE)
    return job


def lock_graph() -> None:
    """Let one change of dependencies at a time be checked for cycles (D-39)."""
    SystemState.objects.select_for_update(no_key=True).get(pk=1)


def renew(job: Job) -> None:
    """Give the job a new revision: what was parsed of it is read anew."""
    job.revision = new_revision()
    job.save(update_fields=["revision"])


def touch(job: Job, *, now: datetime) -> None:
    """Stamp the edit and have the job and its dependents looked at again (D-37)."""
    job.updated_at, job.revision = now, new_revision()
    job.save(update_fields=["updated_at", "revision"])
    transitions.leave_event(job, now=now)
    wakeup.signal()
