"""Submission: one job with its schedule and dependencies, whole or not at all."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import IntegrityError, connection, transaction

from jobs import audit
from jobs.coming import Coming
from jobs.expected import Expectations
from jobs.models import App, DependencyEntry, Job
from jobs.rules.enums import Edit, ExpressionKind, JobStatus
from jobs.rules.spec import JobSpec
from jobs.services import checks
from jobs.slots import new_expression
from sentinel_project import prepared
from sentinel_project.errors import InvalidParameters, Refused
from tasks_app import transitions, wakeup
from tasks_app.rules.states import TaskKind, TaskStatus
from tasks_app.transitions import Opening

#: SQLite has one writer at a time, and no locks of rows.
_CLOSED_AT = {
    "postgresql": "SELECT closed_at FROM jobs_app WHERE id = %s FOR KEY SHARE",
    "sqlite": "SELECT closed_at FROM jobs_app WHERE id = %s",
}
#: What a job takes over from its submission unchanged.
_AS_THEY_ARE = (
    "name",
    "job_type",
    "content",
    "content_type",
    "status",
    "worker_group_id",
    "department",
    "priority",
    "is_one_off",
    "is_serial",
    "is_shared",
    "active_from",
    "active_until",
    "expire_after",
    "max_retries",
    "retry_interval",
    "timeout",
    "misfire_policy",
    "callback_url",
)


def submit_job(spec: JobSpec, *, app: App, user: str, now: datetime) -> Job:
    """Store a job of ``app`` and return it; a one-off without a schedule gets its task at once.

    Every problem is reported together, as InvalidParameters; then nothing is stored.
    """
    owner = _owner(spec, app)
    zone = ZoneInfo(spec.time_zone or settings.SENTINEL_TIME_ZONE)
    checks.refuse([*_mode_problems(spec), *checks.problems_of(spec, app=owner, zone=zone, now=now)])
    try:
        with transaction.atomic():
            _keep_open(owner)
            job = _store(spec, owner, zone, user, now)
            checks.check_graph(job, now=now)
            if job.is_one_off and not spec.schedule:
                _open_one_off(job, user, now)
            after = {"jobName": job.name, "jobType": job.job_type}
            audit.record("job.submit", job, app=app, user=user, after=after, now=now)
            wakeup.signal()
    except IntegrityError as error:
        # The name is the only thing a concurrent submission can have taken meanwhile.
        if Job.objects.filter(app=owner, name=spec.name).exists():
            problem = f"jobName: the app has a job named {spec.name!r} already"
            raise InvalidParameters(problem) from error
        raise
    return job


def next_times(job: Job, *, now: datetime, count: int = 3) -> list[datetime]:
    """Return the next due times of a job, of a schedule-less one those that will be named."""
    expectations = Expectations(is_reading=True)
    times = Coming(expectations, now).first(job.pk, count)
    cursors = job.expressions.filter(kind=ExpressionKind.DELAY, next_due_at__isnull=False)
    has_delays = bool(expectations.facts(job.pk).delays)
    found = cursors.values_list("next_due_at", flat=True) if has_delays else ()
    delays = [at for at in found if at is not None]
    return sorted({*times, *delays})[:count]


def _owner(spec: JobSpec, app: App) -> App:
    """Return whose job it will be: another app's only for ADMIN ones (D-80)."""
    if spec.app_name is None or spec.app_name == app.name:
        return app
    open_apps = App.objects.filter(closed_at__isnull=True)
    owner = open_apps.filter(name=spec.app_name).first() if app.is_admin else None
    if owner is None:
        raise InvalidParameters(
            f"appName: jobs of {spec.app_name!r} cannot be submitted by {app.name!r}"
        )
    return owner


def _keep_open(owner: App) -> None:
    """Have the app stay undeleted until the job can be seen; refused if it is deleted by now.

    The foreign key would take the same lock, but only at the commit: after whoever deletes the app
    has counted its jobs.
    """
    with connection.cursor() as cursor:
        cursor.execute(_CLOSED_AT[connection.vendor], [owner.pk])
        (closed_at,) = cursor.fetchone()
    if closed_at is not None:
        raise Refused(f"app {owner.name} was deleted")


def _mode_problems(spec: JobSpec) -> list[str]:
    entries = [("dependencyList", edit.mode) for edit in spec.dependencies]
    entries += [("scheduleExpressionList", edit.mode) for edit in spec.schedule]
    return [
        f"{field}.operatorMode: a submission can only ADD (1), not {mode.value}"
        for field, mode in entries
        if mode is not Edit.ADD
    ]


def _store(spec: JobSpec, owner: App, zone: ZoneInfo, user: str, now: datetime) -> Job:
    groups = "".join(f"{group}," for group in spec.biz_groups)
    job = Job(
        app=owner,
        extra=dict(spec.extra),
        biz_groups=f",{groups}" if groups else "",
        time_zone=zone.key,
        created_by=user,
        created_at=now,
        updated_at=now,
        floor_at=now,
        paused_at=now if spec.status is JobStatus.PAUSED else None,
        **{name: getattr(spec, name) for name in _AS_THEY_ARE},
    )
    prepared.insert(job)
    DependencyEntry.objects.bulk_create(
        DependencyEntry(
            job=job,
            upstream_id=edit.upstream_id,
            common_strategy=edit.strategy,
            offset=edit.offset,
        )
        for edit in spec.dependencies
    )
    for edit in spec.schedule:
        prepared.insert(new_expression(job, edit, now=now))
    return job


def _open_one_off(job: Job, user: str, now: datetime) -> None:
    """Open the only task, due now (D-25)."""
    if job.status == JobStatus.DISABLED:
        return
    expectations = Expectations()
    waits = bool(expectations.counting(expectations.facts(job.pk)))
    transitions.open_task(
        Opening(
            job=job,
            due_at=now,
            kind=TaskKind.TEMP,
            status=TaskStatus.WAITING if waits else TaskStatus.READY,
            expires_at=job.expires_at(now),
            user=user,
        ),
        now=now,
    )
    if waits:
        transitions.leave_event(job, now=now)
