"""What a change to a job must satisfy before it is kept; every problem is reported at once.

The graph checks run on the rows as they would be, inside the caller's transaction: a refusal
rolls the whole change back (D-38, D-39).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import BooleanField, Exists, ExpressionWrapper, QuerySet

from jobs import rendering, selectors
from jobs.coming import Coming
from jobs.expected import Expectations
from jobs.facts import Facts, Upstream, naming_of
from jobs.models import App, DependencyEntry, Job, WorkerGroup
from jobs.rules.cycles import find_cycle
from jobs.rules.enums import CommonStrategy, JobStatus
from jobs.rules.offsets import parse_offset, window
from jobs.rules.schedule import parse_live
from jobs.rules.spec import DependencyEdit, JobSpec, ScheduleEdit
from jobs.rules.windows import Window
from sentinel_project import prepared
from sentinel_project.errors import InvalidParameters, Refused

#: Due times that decide whether a dependency can ever be satisfied (D-38).
JUDGED = 10
_CODES = {JobStatus.ACTIVE, JobStatus.DISABLED, JobStatus.PAUSED}


def problems_of(spec: JobSpec, *, app: App, zone: ZoneInfo, now: datetime) -> Iterator[str]:
    """Yield what is wrong with a submission by itself, one sentence a problem.

    Refused if the app is deleted by now; else it stays undeleted until the transaction ends. The
    foreign key would see to that only at the commit: after whoever deletes the app has counted its
    jobs.
    """
    (standing,) = _standing(app.pk, spec.name, spec.worker_group_id)
    closed_at, has_namesake, has_group, is_barred = standing
    if closed_at is not None:
        raise Refused(f"app {app.name} was deleted")
    if spec.status not in _CODES:
        yield f"status: {spec.status.value} cannot be submitted; 1 ACTIVE, 2 DISABLED or 5 PAUSED"
    if has_namesake:
        yield namesake_problem(spec.name)
    if spec.priority > app.max_priority:
        yield f"priority: {spec.priority} is above the app's ceiling of {app.max_priority}"
    if spec.active_from and spec.active_until and spec.active_from > spec.active_until:
        yield "activeStartDate: it lies after activeEndDate"
    if not has_group:
        yield f"workerGroupId: there is no worker group {spec.worker_group_id}"
    elif is_barred:
        allowed = sorted(app.allowed_groups.values_list("pk", flat=True))
        yield f"workerGroupId: the app may use {allowed}, not {spec.worker_group_id}"
    yield from rendering.problems_of(rendering.work_of(spec, app), at=now.astimezone(zone))
    yield from dependency_problems(spec.dependencies, app=app)
    yield from schedule_problems(spec.schedule, zone=zone, now=now)


def namesake_problem(name: str) -> str:
    return f"jobName: the app has a job named {name!r} already; choose another name"


@prepared.select_held
def _standing(app_id: int, name: str, group_id: int) -> QuerySet[App, Any]:
    """Return when the app was closed, and how it stands to a job's name and worker group."""
    namesakes = Job.objects.filter(app_id=app_id, name=name).exclude(status=JobStatus.TRASHED)
    groups = WorkerGroup.objects.filter(pk=group_id)
    allowed = WorkerGroup.objects.filter(app=app_id)
    is_barred = Exists(allowed) & ~Exists(allowed.filter(pk=group_id))
    return App.objects.filter(pk=app_id).values_list(
        "closed_at",
        Exists(namesakes),
        Exists(groups),
        ExpressionWrapper(is_barred, output_field=BooleanField()),
    )


def dependency_problems(edits: Iterable[DependencyEdit], *, app: App) -> Iterator[str]:
    """Yield unknown upstreams, repeated ones and offsets that are none."""
    edits = list(edits)
    if not edits:
        return
    visible = _visible_jobs(app, [edit.upstream_id for edit in edits])
    seen: set[int] = set()
    for edit in edits:
        if edit.upstream_id not in visible:
            yield f"dependencyList.preJobId: there is no job {edit.upstream_id}"
        if edit.upstream_id in seen:
            yield f"dependencyList.preJobId: {edit.upstream_id} is named twice"
        seen.add(edit.upstream_id)
        yield from _refusals("dependencyList.offsetStrategy", lambda e=edit: parse_offset(e.offset))


def _visible_jobs(app: App, job_ids: list[int]) -> set[int]:
    """Return which jobs the app may depend on: its own, shared and granted ones (D-80)."""
    rows = Job.objects.filter(selectors.open_to(app), pk__in=job_ids)
    return set(rows.exclude(status=JobStatus.TRASHED).values_list("pk", flat=True))


def schedule_problems(
    edits: Iterable[ScheduleEdit], *, zone: ZoneInfo, now: datetime
) -> Iterator[str]:
    for edit in edits:
        yield from _refusals(
            "scheduleExpressionList.expression",
            lambda e=edit: parse_live(e.kind, e.text, zone=zone, saved_at=now, now=now),
        )


def _refusals(field: str, attempt: object) -> Iterator[str]:
    assert callable(attempt)
    try:
        attempt()
    except InvalidParameters as refusal:
        for problem in refusal.problems:
            yield f"{field}: {problem}"


# -- the graph as it would be --------------------------------------------------------------------


def check_graph(job: Job, *, now: datetime) -> None:
    """Refuse cycles, a schedule-less job that nothing names, and dead dependencies.

    ``job`` is as its row is by now.
    """
    expectations = Expectations(is_reading=True)
    expectations.take([job])
    facts = expectations.facts(job.pk)
    refuse(_cycle_problems(job) if facts.upstreams else ())
    if facts.is_named:
        refuse(_naming_problems(facts))
    refuse(_dead_problems(facts, expectations, now))


def refuse(problems: Iterable[str]) -> None:
    """Raise all problems together, if there are any."""
    found = list(problems)
    if found:
        raise InvalidParameters(*found)


def _cycle_problems(job: Job) -> Iterator[str]:
    path = find_cycle(job.pk, _upstreams)
    if path is not None:
        # An upstream's upstreams may be another app's that this one knows nothing of (W-21).
        closed = selectors.closed_to(job.app, path)
        shown = ["another app's job" if job_id in closed else str(job_id) for job_id in path]
        yield f"dependencyList: the job would wait for itself ({' waits for '.join(shown)})"


def _upstreams(job_ids: Collection[int]) -> QuerySet[DependencyEntry, tuple[int, int]]:
    rows = DependencyEntry.objects.filter(job_id__in=job_ids).order_by("pk")
    return rows.values_list("job_id", "upstream_id")


def _naming_problems(facts: Facts) -> Iterator[str]:
    naming = naming_of(facts.upstreams)
    if not naming:
        yield (
            "dependencyList: a job without a schedule needs one dependency that names its runs:"
            ' offsetStrategy "", "cd" (or another current unit), d(n) or d(p,q) with p <= 0 < q'
        )
    units = sorted({upstream.offset.unit or "" for upstream in naming})
    if len(units) > 1:
        yield (
            "dependencyList: the dependencies that name the runs of a job without a schedule"
            f" must share one unit, not {', '.join(units)}"
        )


def _dead_problems(facts: Facts, expectations: Expectations, now: datetime) -> Iterator[str]:
    """Yield dependencies that none of the next ten due times could satisfy (D-38)."""
    for upstream in facts.upstreams:
        source = expectations.facts(upstream.job_id).job
        if source.is_one_off and source.history_from is not None:
            gone = "is a one-off whose run was removed by retention"
            yield f"dependencyList.preJobId: {source.pk} {gone}"
    judged = [up for up in facts.upstreams if _is_judged(up, expectations, now)]
    if not judged:
        return
    dues = Coming(expectations, now).first(facts.job.pk, JUDGED)
    for upstream in judged:
        problem = _dead(facts, upstream, dues, expectations)
        if problem is not None:
            yield f"dependencyList.preJobId {upstream.job_id}: {problem}"


def _is_judged(upstream: Upstream, expectations: Expectations, now: datetime) -> bool:
    facts = expectations.facts(upstream.job_id)
    if not facts.counts or facts.job.is_one_off or facts.delays:
        return False
    return facts.job.status_at(now) is not JobStatus.EXPIRED


def _dead(
    facts: Facts, upstream: Upstream, dues: list[datetime], expectations: Expectations
) -> str | None:
    late = 0
    for due in dues:
        span = window(upstream.offset, due, facts.job.zone)
        needed = _needed(upstream, span, expectations)
        limit = facts.job.expires_at(due)
        if needed is not None and (limit is None or needed <= limit):
            return None
        if needed is not None or _is_over(upstream, span, expectations):
            late += 1
    if not dues:
        return None
    if late:
        return (
            "in each of the next due times the run it needs comes after the job has expired;"
            " raise expiredTime"
        )
    span = window(upstream.offset, dues[0], facts.job.zone)
    start, end = (
        f"{t.astimezone(facts.job.zone):%Y-%m-%d %H:%M:%S}" for t in (span.start, span.end)
    )
    shown = f"[{start}, {end})" if start != end else start
    return (
        f"its window {upstream.offset.text!r} holds no run of that job at any of the next"
        f" {len(dues)} due times (the first is {shown}); choose another offsetStrategy"
    )


def _is_over(upstream: Upstream, span: Window, expectations: Expectations) -> bool:
    """Tell whether the upstream will be EXPIRED by then, and so not count (D-35)."""
    until = expectations.facts(upstream.job_id).job.active_until
    return until is not None and span.start >= until


def _needed(upstream: Upstream, span: Window, expectations: Expectations) -> datetime | None:
    """Return the due time of the run that decides the strategy; None: the window is empty."""
    is_first = upstream.strategy is CommonStrategy.ANYONE
    ask = expectations.earliest if is_first else expectations.latest
    run = ask(upstream.job_id, span)
    return run.due_at if run else None
