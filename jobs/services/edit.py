"""An edit of a job: fields, upstreams and expressions are one change set (D-57, D-58, D-59)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import transaction

from jobs import audit, selectors
from jobs.expected import Expectations
from jobs.facts import Facts
from jobs.models import App, Job
from jobs.rules.spec import DependencyEdit, JobSpec, ScheduleEdit
from jobs.services import checks, dependencies, fields, schedules
from jobs.services.edits import JobChange, lock_graph, locked_job, renew, touch
from sentinel_project.errors import InvalidParameters


@transaction.atomic
def edit_job(  # noqa: PLR0913 - three kinds of changes, and who makes them of what
    job_id: int,
    changes: Mapping[str, Any],
    *,
    links: Sequence[DependencyEdit] = (),
    schedule: Sequence[ScheduleEdit] = (),
    revision: int | None = None,
    app: App,
    user: str,
    now: datetime,
) -> JobChange:
    """Change fields of a job by the names of ``fields.EDITABLE``, its upstreams and expressions.

    All of it is judged before anything is written, and the graph once, as it is in the end.
    Unfinished tasks that have not started follow in worker group, priority and expiry.
    """
    lock_graph()
    job = locked_job(job_id, app, revision=revision)
    old = selectors.spec_of(job)
    changed = fields.changes_of(old, changes)
    if not (changed or links or schedule):
        return JobChange(job)
    checks.refuse(
        [
            *fields.problems_of(job, old, changed, now),
            *dependencies.problems_of(job, links, app),
            *schedules.problems_of(job, schedule, fields.zone_of(job, changed), now),
        ]
    )
    before = _shown(job, changed, links, schedule)
    facts = _write_fields(job, old, changed, now)
    dependencies.apply(job, links)
    schedules.apply(job, schedule, now)
    touch(job, now=now)
    if links or schedule or changed.keys() & fields.BINDS:
        checks.check_graph(job, now=now)
    change = schedules.bridge_cycle(job, facts, user, now) if schedule else JobChange(job)
    after = _shown(job, changed, links, schedule)
    audit.record("job.edit", job, app=app, user=user, now=now, before=before, after=after)
    return change


def _write_fields(
    job: Job, old: JobSpec, changed: Mapping[str, Any], now: datetime
) -> Facts | None:
    """Store the fields, let cursors and tasks follow, and return what the old schedule means now.

    What was parsed of the job before the edit must not answer for it any more. None: the old one
    cannot be read, so there is no cycle to bridge, and the edit may be what mends it.
    """
    if changed:
        if fields.begins_anew(old, changed, now):
            schedules.leave_out_all(job, now)
        fields.store(job, changed)
        renew(job)
        fields.move_cursors(job, old, changed, now)
        fields.follow(job, old, changed)
    try:
        return Expectations().facts(job.pk)
    except InvalidParameters:
        return None


def _shown(
    job: Job,
    changed: Mapping[str, Any],
    links: Sequence[DependencyEdit],
    schedule: Sequence[ScheduleEdit],
) -> dict[str, Any]:
    """Return how that stands which the edit is about, as the audit log has it."""
    spec = selectors.spec_of(job)
    shown = {name: fields.shown(getattr(spec, name)) for name in changed}
    shown |= dependencies.shown(job) if links else {}
    return shown | (schedules.shown(job) if schedule else {})


def set_dependencies(
    job_id: int, links: Sequence[DependencyEdit], *, app: App, user: str, now: datetime
) -> Job:
    """Apply a change set to a job's dependencies; a refusal changes nothing."""
    return edit_job(job_id, {}, links=links, app=app, user=user, now=now).job


def set_schedule(
    job_id: int, schedule: Sequence[ScheduleEdit], *, app: App, user: str, now: datetime
) -> JobChange:
    """Apply a change set to a job's expressions; a refusal changes nothing."""
    return edit_job(job_id, {}, schedule=schedule, app=app, user=user, now=now)
