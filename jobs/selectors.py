"""Reads of jobs. Whose they are is decided here and nowhere else (D-80, W-21)."""

from __future__ import annotations

from django.db.models import QuerySet

from jobs.models import DEFAULT_GROUP_ID, App, Job
from jobs.rules.enums import CommonStrategy, ContentType, ExpressionKind, JobStatus, MisfirePolicy
from jobs.rules.spec import DependencyEdit, JobSpec, ScheduleEdit
from sentinel_project.errors import NotFound


def jobs_of(app: App) -> QuerySet[Job]:
    """Return the jobs that ``app`` may see: its own, or everything if it is an ADMIN."""
    return Job.objects.all() if app.is_admin else Job.objects.filter(app=app)


def job_of(app: App, job_id: int) -> Job:
    """Return one job; an unknown id and another app's job are refused alike."""
    job = jobs_of(app).select_related("app").filter(pk=job_id).first()
    if job is None:
        raise NotFound(f"no job {job_id}")
    return job


def spec_of(job: Job) -> JobSpec:
    """Return ``job`` as its submission would have said it, defaults spelled out."""
    return JobSpec(
        name=job.name,
        job_type=job.job_type,
        content=job.content,
        status=JobStatus(job.status),
        content_type=ContentType(job.content_type),
        extra=job.extra,
        app_name=job.app.name,
        worker_group_id=job.worker_group_id or DEFAULT_GROUP_ID,
        department=job.department,
        biz_groups=tuple(int(label) for label in job.biz_groups.split(",") if label),
        priority=job.priority,
        is_one_off=job.is_one_off,
        active_from=job.active_from,
        active_until=job.active_until,
        expire_after=job.expire_after,
        max_retries=job.max_retries,
        retry_interval=job.retry_interval,
        dependencies=_dependencies_of(job),
        schedule=_schedule_of(job),
        is_serial=job.is_serial,
        misfire_policy=MisfirePolicy(job.misfire_policy),
        time_zone=job.time_zone,
        timeout=job.timeout,
        callback_url=job.callback_url,
    )


def _dependencies_of(job: Job) -> tuple[DependencyEdit, ...]:
    return tuple(
        DependencyEdit(
            upstream_id=entry.upstream_id,
            strategy=CommonStrategy(entry.common_strategy),
            offset=entry.offset,
        )
        for entry in job.dependencies.order_by("pk")
    )


def _schedule_of(job: Job) -> tuple[ScheduleEdit, ...]:
    return tuple(
        ScheduleEdit(expression_id=row.pk, kind=ExpressionKind(row.kind), text=row.text)
        for row in job.expressions.order_by("pk")
    )
