"""Reads of jobs. Whose they are is decided here and nowhere else (D-80, W-21)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, TypeVar

from django.db.models import Min, Model, Q, QuerySet

from jobs.models import DEFAULT_GROUP_ID, App, DependencyEntry, Grant, Job, ScheduleExpression
from jobs.rules.enums import CommonStrategy, ContentType, ExpressionKind, JobStatus, MisfirePolicy
from jobs.rules.spec import DependencyEdit, JobSpec, ScheduleEdit
from sentinel_project.errors import InvalidParameters, NotFound

_MAX_DIGITS = 18
#: What a job runs may be a megabyte, and no list shows it.
WHAT_RUNS = ("content", "extra")
Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs are meant: those that meet every filter that is given."""

    job_id: int | None = None
    name: str = ""
    #: None: any but TRASHED.
    status: JobStatus | None = None
    job_type: str = ""
    app_name: str = ""
    worker_group_id: int | None = None
    department: str | None = None
    biz_group: int | None = None


@dataclass(frozen=True, slots=True)
class Page(Generic[Row]):
    """Some of the rows, and where the next page starts; None: there is none."""

    rows: Sequence[Row]
    cursor: str | None


@dataclass(frozen=True, slots=True)
class Relation:
    """A job that is reached over dependencies. ``job`` None: it is closed to whoever asks."""

    job_id: int
    job: Job | None
    depth: int
    strategy: CommonStrategy
    offset: str


def jobs_of(app: App) -> QuerySet[Job]:
    """Return the jobs that ``app`` may see: its own, or everything if it is an ADMIN."""
    return Job.objects.all() if app.is_admin else Job.objects.filter(app=app)


def open_to(app: App) -> Q:
    """Return which jobs ``app`` may depend on, and so read name and states of: D-80.

    Its own, shared ones, and those that were granted to it; an ADMIN's are all.
    """
    if app.is_admin:
        return Q()
    granted = Grant.objects.filter(app_name=app.name).values("job")
    return Q(app=app) | Q(is_shared=True) | Q(pk__in=granted)


def closed_to(app: App, job_ids: Iterable[int]) -> set[int]:
    """Return which jobs tell ``app`` no more than whether a run is done."""
    job_ids = set(job_ids)
    return job_ids - set(
        Job.objects.filter(open_to(app), pk__in=job_ids).values_list("pk", flat=True)
    )


def is_closed_to(dependent: Job, upstream: Job) -> bool:
    """Tell whether a job's upstream is another app's that is, or is no longer, open to it."""
    if dependent.app_id == upstream.app_id or upstream.is_shared:
        return False
    return bool(closed_to(dependent.app, [upstream.pk]))


def job_of(app: App, job_id: int) -> Job:
    """Return one job; an unknown id and another app's job are refused alike."""
    job = jobs_of(app).select_related("app").filter(pk=job_id).first()
    if job is None:
        raise NotFound(f"no job {job_id}")
    return job


def jobs_like(app: App, wanted: JobFilter, *, now: datetime) -> QuerySet[Job]:
    """Return the jobs that ``app`` may see and that meet the filter, newest first.

    They come without what they run.
    """
    meets = _status_is(wanted.status, now)
    meets &= Q() if wanted.job_id is None else Q(pk=wanted.job_id)
    meets &= Q(name__icontains=wanted.name) if wanted.name else Q()
    meets &= Q(job_type=wanted.job_type) if wanted.job_type else Q()
    meets &= Q(app__name=wanted.app_name) if wanted.app_name else Q()
    meets &= Q() if wanted.worker_group_id is None else Q(worker_group_id=wanted.worker_group_id)
    meets &= Q() if wanted.department is None else Q(department=wanted.department)
    meets &= Q() if wanted.biz_group is None else Q(biz_groups__contains=f",{wanted.biz_group},")
    return jobs_of(app).filter(meets).select_related("app").order_by("-pk").defer(*WHAT_RUNS)


def _status_is(status: JobStatus | None, now: datetime) -> Q:
    """Return the condition of a status as everyone reads it (D-1)."""
    is_over = Q(active_until__isnull=False, active_until__lte=now)
    if status is None:
        return ~Q(status=JobStatus.TRASHED)
    if status is JobStatus.TRASHED:
        return Q(status=status)
    if status is JobStatus.EXPIRED:
        return is_over & ~Q(status=JobStatus.TRASHED)
    return Q(status=status) & ~is_over


def job_page(app: App, wanted: JobFilter, *, limit: int, cursor: str, now: datetime) -> Page[Job]:
    """Return up to ``limit`` jobs, newest first, each with its next due time as ``next_due``."""
    rows = jobs_like(app, wanted, now=now).annotate(next_due=Min("expressions__next_due_at"))
    return page_of(rows, limit=limit, cursor=cursor)


def set_aside() -> QuerySet[ScheduleExpression]:
    """Return the expressions of ACTIVE jobs whose slots could not be planned (X-9)."""
    rows = ScheduleExpression.objects.filter(aside_until__isnull=False, next_due_at__isnull=False)
    return rows.filter(job__status=JobStatus.ACTIVE)


def page_of(rows: QuerySet[Row], *, limit: int, cursor: str) -> Page[Row]:
    """Return up to ``limit`` rows, newest first."""
    rows = rows.order_by("-pk")
    if cursor:
        if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _MAX_DIGITS):
            raise InvalidParameters("cursor must be the cursor of an earlier answer, unchanged")
        rows = rows.filter(pk__lt=int(cursor))
    found = list(rows[: limit + 1])
    shown = found[:limit]
    return Page(shown, str(shown[-1].pk) if len(found) > limit else None)


def upstreams_of(app: App, job: Job, *, depth: int) -> list[Relation]:
    """Return what a job waits for, each job once, at its least depth.

    Another app's job is named by an entry of one's own job and is not looked behind.
    """
    found: dict[int, Relation] = {}
    border = [job.pk]
    for level in range(1, depth + 1):
        entries = list(_entries(Q(job_id__in=border)))
        border = _next_level(app, job, entries, [e.upstream_id for e in entries], level, found)
    return list(found.values())


def dependents_of(app: App, job: Job, *, depth: int) -> list[Relation]:
    """Return which of the app's jobs wait for a job, each once, at its least depth."""
    found: dict[int, Relation] = {}
    border = [job.pk]
    for level in range(1, depth + 1):
        entries = list(_entries(Q(upstream_id__in=border, job__in=jobs_of(app))))
        border = _next_level(app, job, entries, [e.job_id for e in entries], level, found)
    return list(found.values())


def _entries(condition: Q) -> Iterable[DependencyEntry]:
    return DependencyEntry.objects.filter(condition).order_by("pk")


def _next_level(
    app: App,
    start: Job,
    entries: Sequence[DependencyEntry],
    reached: Sequence[int],
    level: int,
    found: dict[int, Relation],
) -> list[int]:
    """Note what was reached for the first time; return which of it can be looked behind."""
    visible = set(jobs_of(app).filter(pk__in=reached).values_list("pk", flat=True))
    told = {
        job.pk: job for job in Job.objects.filter(open_to(app), pk__in=reached).defer(*WHAT_RUNS)
    }
    fresh: list[int] = []
    for job_id, entry in zip(reached, entries, strict=True):
        if job_id in found or job_id == start.pk:
            continue
        strategy = CommonStrategy(entry.common_strategy)
        found[job_id] = Relation(job_id, told.get(job_id), level, strategy, entry.offset)
        fresh += [job_id] if job_id in visible else []
    return fresh


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
        is_shared=job.is_shared,
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
