"""Skip: one future slot is marked to open as REMOVED (D-55)."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from jobs import audit
from jobs.expected import Expectations
from jobs.models import App
from jobs.rules.schedule.walltime import LAST
from jobs.services.edits import locked_job
from sentinel_project.errors import Refused
from tasks_app.models import SkipMark, Task
from tasks_app.rules.states import TaskKind


@transaction.atomic
def skip_slot(
    job_id: int, due_at: datetime, *, app: App, user: str, reason: str, now: datetime
) -> SkipMark:
    """Mark the slot ``due_at``; refused if it is no slot, or has come already."""
    job = locked_job(job_id, app)
    if due_at > LAST:
        raise Refused("scheduleTime: it lies too near the end of the calendar")
    shown = f"{due_at.astimezone(job.zone):%Y-%m-%d %H:%M:%S}"
    is_opened = Task.objects.filter(job=job, kind=TaskKind.SCHEDULE.value, due_at=due_at).exists()
    if is_opened or due_at <= now:
        raise Refused(f"scheduleTime: {shown} has come already; remove its task instead")
    facts = Expectations().facts(job_id)
    before = due_at - timedelta(microseconds=1)
    is_slot = any(series.schedule.after(before) == due_at for series in facts.series)
    if not is_slot or not job.is_active_at(due_at):
        raise Refused(f"scheduleTime: {shown} is no slot of job {job_id}")
    mark, _ = SkipMark.objects.update_or_create(
        job=job, due_at=due_at, defaults={"user": user, "reason": reason, "created_at": now}
    )
    after = {"scheduleTime": due_at.isoformat(), "reason": reason}
    audit.record("job.skip", job, app=app, user=user, after=after, now=now)
    return mark
