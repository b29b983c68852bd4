"""Submission: one job with its schedule and dependencies, whole or not at all."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection

from jobs import audit, facts
from jobs.coming import Coming
from jobs.expected import Expectations
from jobs.models import App, DependencyEntry, Job
from jobs.rules.enums import Edit, ExpressionKind, JobStatus
from jobs.rules.spec import JobSpec
from jobs.services import checks
from jobs.slots import new_expression
from sentinel_project import prepared
from sentinel_project.errors import InvalidParameters
from tasks_app import transitions, wakeup
from tasks_app.rules.states import TaskKind, TaskStatus
from tasks_app.transitions import Opening

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

    Every problem is reported together, as InvalidParameters. It is part of the caller's
    transaction, which a refusal must undo: the graph is judged on what is stored.
    """
    assert connection.in_atomic_block
    owner = _owner(spec, app)
    zone = ZoneInfo(spec.time_zone or settings.SENTINEL_TIME_ZONE)
    checks.refuse([*_mode_problems(spec), *checks.problems_of(spec, app=owner, zone=zone, now=now)])
    job = _store(spec, owner, zone, user, now)
    checks.check_graph(job, now=now)
    if job.is_one_off and not spec.schedule:
        _open_one_off(job, user, now)
    after = {"jobName": job.name, "jobType": job.job_type}
    audit.record("job.submit", job, app=app, user=user, after=after, now=now)
    return job


def next_times(job: Job, *, now: datetime, count: int = 3) -> list[datetime]:
    """Return the next due times of a job, of a schedule-less one those that will be named.

    ``job`` is as its row is by now.
    """
    expectations = Expectations(is_reading=True)
    expectations.take([job])
    times = Coming(expectations, now).first(job.pk, count)
    delays = _ends_of_delays(job) if expectations.facts(job.pk).delays else ()
    return sorted({*times, *delays})[:count]


def _ends_of_delays(job: Job) -> list[datetime]:
    """Return where the delays stand that do not wait for a run to end."""
    rows = job.expressions.filter(kind=ExpressionKind.DELAY)
    return [at for at in rows.values_list("next_due_at", flat=True) if at is not None]


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
    if not prepared.insert_if_new(job):
        # Somebody has taken the name since it was looked for.
        raise InvalidParameters(checks.namesake_problem(job.name))
    entries = [
        DependencyEntry(
            job=job,
            upstream_id=edit.upstream_id,
            common_strategy=edit.strategy,
            offset=edit.offset,
        )
        for edit in spec.dependencies
    ]
    DependencyEntry.objects.bulk_create(entries)
    expressions = [new_expression(job, edit, now=now) for edit in spec.schedule]
    for expression in expressions:
        prepared.insert(expression)
        wakeup.signal_of(expression.next_due_at, now=now)
    facts.learn(job, expressions, entries)
    return job


def _open_one_off(job: Job, user: str, now: datetime) -> None:
    """Open the only task, due now (D-25)."""
    if job.status == JobStatus.DISABLED:
        return
    expectations = Expectations()
    expectations.take([job])
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
    wakeup.signal()
