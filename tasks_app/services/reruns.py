"""Rerun: past due times once more, as a batch that depends on itself alone (D-51)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from django.db import transaction

from jobs import audit
from jobs.expected import Expectations
from jobs.facts import Facts, naming_of
from jobs.models import App, DependencyEntry, Job
from jobs.rules.enums import JobStatus
from jobs.rules.offsets import shift, truncate
from jobs.rules.windows import Window
from jobs.selectors import WHAT_RUNS
from sentinel_project.errors import InvalidParameters, NotFound, Refused
from tasks_app import planner, transitions, wakeup
from tasks_app.models import Batch, Event, Task
from tasks_app.rules.states import TaskKind, TaskStatus
from tasks_app.transitions import Opening

MAX_TASKS = 10_000
#: When others may look at a batch that whoever opened it has not.
_INSURED_AFTER = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Rerun:
    """A rerun as it would be: (due time, job id) in order; ``cut_at``: the range went past now."""

    slots: list[tuple[datetime, int]]
    jobs: dict[int, Job]
    cut_at: datetime | None

    @property
    def count(self) -> int:
        return len(self.slots)


@dataclass(frozen=True, slots=True)
class Reran:
    """A rerun that was made: its task ids in due order; ``cut_at`` as in its plan."""

    batch: Batch
    task_ids: list[int]
    cut_at: datetime | None


def plan_rerun(
    job_ids: Sequence[int],
    start: datetime,
    end: datetime,
    *,
    app: App,
    now: datetime,
    with_dependents: bool = False,
) -> Rerun:
    """Return which tasks a rerun of [start, end] would open, or refuse it; nothing is written."""
    if not job_ids:
        raise InvalidParameters("jobIdList: it is empty; name at least one job")
    if start > end:
        raise InvalidParameters("startDate: it lies after endDate")
    jobs = _jobs(job_ids, app)
    if with_dependents:
        jobs |= _dependents(jobs, app)
    cut_at = now if end > now else None
    span = Window(start, min(end, now) + timedelta(microseconds=1))
    expectations = Expectations(bounded=False)
    expectations.load(jobs)
    slots: list[tuple[datetime, int]] = []
    for job_id in jobs if span.start < span.end else ():
        is_many = _is_beyond(job_id, span, expectations)
        slots += [] if is_many else [(r.due_at, job_id) for r in expectations.runs(job_id, span)]
        if is_many or len(slots) > MAX_TASKS:
            raise Refused(f"a rerun has at most {MAX_TASKS} tasks; choose a shorter range")
    if not slots:
        raise Refused("there is no slot of these jobs in this range up to now")
    return Rerun(sorted(slots), jobs, cut_at)


def _is_beyond(job_id: int, span: Window, expectations: Expectations) -> bool:
    """Tell whether a job surely, or at the cost of as many looks, has too many runs in ``span``.

    Asked before any of them is enumerated: a range may be all of time, and a schedule each second.
    """
    facts = expectations.facts(job_id)
    for named in expectations.behind(facts) if facts.is_named else [job_id]:
        facts = expectations.facts(named)
        naming = naming_of(expectations.counting(facts)) if facts.is_named else []
        unit = naming[0].offset.unit if naming else None
        zone = facts.job.zone
        if unit and shift(unit, truncate(unit, span.start, zone), MAX_TASKS, zone) < span.end:
            return True
        sources = [facts, *(expectations.facts(up.job_id) for up in naming if unit is None)]
        if any(_is_dense(source, span) for source in sources):
            return True
    return False


def _is_dense(facts: Facts, span: Window) -> bool:
    come = (series.schedule.between(span.start, span.end) for series in facts.series)
    return any(next(islice(slots, MAX_TASKS, None), None) is not None for slots in come)


@transaction.atomic
def rerun(
    job_ids: Sequence[int],
    start: datetime,
    end: datetime,
    *,
    app: App,
    user: str,
    now: datetime,
    with_dependents: bool = False,
) -> Reran:
    """Open the batch of ``plan_rerun``."""
    plan = plan_rerun(job_ids, start, end, app=app, now=now, with_dependents=with_dependents)
    list(
        Job.objects.select_for_update(no_key=True)
        .filter(pk__in=plan.jobs)
        .order_by("pk")
        .values_list("pk")
    )
    batch = Batch.objects.create(created_at=now, user=user)
    waiting = _waiting_jobs(plan)
    openings = [
        Opening(
            job=plan.jobs[job_id],
            due_at=due,
            kind=TaskKind.RERUN,
            status=TaskStatus.WAITING if job_id in waiting else TaskStatus.READY,
            batch_id=batch.pk,
            is_asked=True,
            user=user,
        )
        for due, job_id in plan.slots
    ]
    transitions.open_tasks(openings, now=now)
    if waiting:
        _release_later(sorted(waiting), plan, now)
    wakeup.signal()
    for job in plan.jobs.values():
        audit.record("job.rerun", job, app=app, user=user, after={"batchId": batch.pk}, now=now)
    rows = Task.objects.filter(batch=batch).order_by("due_at", "job_id")
    return Reran(batch, list(rows.values_list("pk", flat=True)), plan.cut_at)


def _release_later(job_ids: Sequence[int], plan: Rerun, now: datetime) -> None:
    """Look at the batch once it is committed: thousands of tasks must not hold the jobs' locks.

    Should we die before that is done, the events are found.
    """
    later = now + _INSURED_AFTER
    events = [
        transitions.leave_event(plan.jobs[job_id], not_before=later, now=now).pk
        for job_id in job_ids
    ]

    def release() -> None:
        planner.release_apart(job_ids, now=now)
        Event.objects.filter(pk__in=events, processed_at=None).update(processed_at=now)

    transaction.on_commit(release, robust=True)


def _jobs(job_ids: Sequence[int], app: App) -> dict[int, Job]:
    rows = Job.objects.filter(pk__in=job_ids).select_related("app")
    if not app.is_admin:
        rows = rows.filter(app=app)
    jobs = {job.pk: job for job in rows}
    unknown = sorted(set(job_ids) - set(jobs))
    if unknown:
        raise NotFound(f"no job {', '.join(map(str, unknown))}")
    for job in jobs.values():
        if job.status == JobStatus.TRASHED:
            raise Refused(f"job {job.pk} is TRASHED")
        if job.is_one_off:
            raise Refused(f"job {job.pk} is a one-off; retry its task instead")
    return jobs


def _dependents(jobs: dict[int, Job], app: App) -> dict[int, Job]:
    """Return all jobs downstream of ``jobs`` that the app may act on."""
    found: dict[int, Job] = {}
    border = set(jobs)
    while border:
        rows = DependencyEntry.objects.filter(upstream_id__in=border).values_list("job_id")
        rows_of = Job.objects.filter(pk__in=rows, is_one_off=False)
        rows_of = rows_of.exclude(status=JobStatus.TRASHED).select_related("app")
        rows_of = rows_of.defer(*WHAT_RUNS)
        if not app.is_admin:
            rows_of = rows_of.filter(app=app)
        fresh = {job.pk: job for job in rows_of if job.pk not in found and job.pk not in jobs}
        found |= fresh
        border = set(fresh)
    return found


def _waiting_jobs(plan: Rerun) -> set[int]:
    """Return the jobs of the batch that depend on another of it, or on their own order."""
    rows = DependencyEntry.objects.filter(job_id__in=plan.jobs, upstream_id__in=plan.jobs)
    serial = {job_id for job_id, job in plan.jobs.items() if job.is_serial}
    return serial | set(rows.values_list("job_id", flat=True))
