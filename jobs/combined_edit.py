"""One request that edits fields, dependencies and schedule of a job: all of it, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from jobs import services
from jobs.models import App, Job
from jobs.rules.spec import DependencyEdit, ScheduleEdit
from jobs.selectors import job_of
from jobs.services.schedules import ScheduleChange
from sentinel_project.errors import InvalidParameters


@transaction.atomic
def edit_whole(
    job_id: int,
    changes: Mapping[str, Any],
    *,
    dependencies: Sequence[DependencyEdit] = (),
    schedule: Sequence[ScheduleEdit] = (),
    app: App,
    user: str,
    now: datetime,
) -> ScheduleChange:
    """Apply everything in one transaction and say what the new schedule skipped (D-57).

    The graph is checked after each change set, and what is right in the end may be wrong in
    between: a job that loses its last expression needs the dependency that names its runs first
    (D-36). So what is refused in one order is tried in the other.
    """
    job = job_of(app, job_id)
    changes = _without_owner(job, changes)

    def links() -> None:
        if dependencies:
            services.set_dependencies(job_id, dependencies, app=app, user=user, now=now)

    def slots() -> ScheduleChange:
        if not schedule:
            return ScheduleChange(job)
        return services.set_schedule(job_id, schedule, app=app, user=user, now=now)

    services.edit_job(job_id, changes, app=app, user=user, now=now)
    try:
        with transaction.atomic():
            change = slots()
            links()
    except InvalidParameters:
        if not (dependencies and schedule):
            raise
        links()
        change = slots()
    return change


def _without_owner(job: Job, changes: Mapping[str, Any]) -> dict[str, Any]:
    """Let a definition that was read be sent back; its owner stays whose it is (D-80)."""
    name = changes.get("app_name")
    if name is not None and name != job.app.name:
        raise InvalidParameters(f"appName: the job is {job.app.name!r}'s, and stays it")
    return {word: value for word, value in changes.items() if word != "app_name"}
