"""Run now: one MANUAL task, dependencies ignored, nothing released (D-55)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction

from jobs import audit, rendering
from jobs.models import App
from jobs.services.checks import refuse
from jobs.services.edits import locked_job
from sentinel_project.errors import Refused
from tasks_app import transitions, wakeup
from tasks_app.models import Task
from tasks_app.rules.states import TaskKind, TaskStatus
from tasks_app.transitions import Opening


@transaction.atomic
def run_now(
    job_id: int, *, app: App, user: str, now: datetime, extra: Mapping[str, Any] | None = None
) -> Task:
    """Open a MANUAL task due now in any job that is neither TRASHED nor a one-off.

    ``extra`` stands in for the job's parameters and is judged as a submission's would be.
    """
    job = locked_job(job_id, app)
    if job.is_one_off:
        raise Refused(f"job {job_id} is a one-off: it has one task, which can be retried")
    if extra is not None:
        work = rendering.work_of_job(job, extra=extra)
        refuse(rendering.problems_of(work, at=now.astimezone(job.zone)))
    task = transitions.open_task(
        Opening(
            job=job,
            due_at=now,
            kind=TaskKind.MANUAL,
            status=TaskStatus.READY,
            is_asked=True,
            user=user,
            extra=None if extra is None else dict(extra),
        ),
        now=now,
    )
    wakeup.signal()
    audit.record("job.run", job, app=app, user=user, after={"taskId": task.pk}, now=now)
    return task
