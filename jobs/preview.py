"""Preview: when a job would run and what each run would wait for; nothing is kept (D-71).

The submission or the edit is really made, by the services that make it, then looked at and rolled
back: a preview is refused exactly where the real thing would be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from jobs import rendering
from jobs.expected import Expectations, ExpectedRun, closed
from jobs.facts import Facts, Upstream
from jobs.models import App, DependencyEntry, Job
from jobs.outlook import first_runs
from jobs.rendering import Rendered
from jobs.rules.enums import JobStatus
from jobs.rules.offsets import window
from jobs.rules.schedule.walltime import clock_change
from jobs.rules.windows import Window
from jobs.selectors import is_closed_to, jobs_of
from jobs.services import checks, next_times
from sentinel_project.errors import InvalidParameters
from tasks_app import workers
from tasks_app.planner.plans import ends_before_floor

#: Runs listed of one window.
MAX_SHOWN = 200
#: Runs listed of all windows of a preview together; a window without runs counts as one.
MAX_LISTED = 10_000
#: Dependents judged when jobs are enabled.
_MAX_JUDGED = 100


@dataclass(frozen=True, slots=True)
class Binding:
    """What one dependency of a run looks at; ``are_more``: maybe not all runs are listed."""

    upstream: Upstream
    window: Window
    runs: list[ExpectedRun]
    are_more: bool


@dataclass(frozen=True, slots=True)
class ComingRun:
    """A due time to come. ``note`` says if clocks change on its day."""

    due_at: datetime
    note: str | None
    bindings: list[Binding]


@dataclass(frozen=True, slots=True)
class Outlook:
    """What a job would do. ``sentences``: each expression in English.

    ``rendered`` is what the first of the runs would run, or a run at this instant if there is none;
    None: it would fail before it starts, as a warning says.
    """

    job: Job
    sentences: list[tuple[str, str]]
    runs: list[ComingRun]
    rendered: Rendered | None
    warnings: list[str]


def preview(make: Callable[[], Job], *, count: int, now: datetime) -> Outlook:
    """Return what the job that ``make`` stores or edits would do, and undo it."""
    with transaction.atomic():
        seen = _look(make().pk, count, now)
        transaction.set_rollback(True)
    return seen


def _look(job_id: int, count: int, now: datetime) -> Outlook:
    # As it is in the database: what services return may be from before their last write.
    job = Job.objects.select_related("app", "worker_group").get(pk=job_id)
    expectations = Expectations(is_reading=True)
    facts = expectations.facts(job_id)
    dues = next_times(job, now=now, count=count)
    if job.is_one_off:
        dues = dues[:1] or [now]
    allowance = _Allowance()
    runs = [_coming(facts, due, expectations, allowance) for due in dues]
    warnings = [*_warnings(facts, runs, expectations, now), *_worker_warnings(job, now)]
    rendered: Rendered | None = None
    try:
        rendered = rendering.trial(rendering.work_of_job(job), dues[0] if dues else now, job.zone)
    except InvalidParameters as refusal:
        warnings += [f"a run would fail: {problem}" for problem in refusal.problems]
    return Outlook(job, list(_sentences(facts)), runs, rendered, warnings)


def _sentences(facts: Facts) -> Iterator[tuple[str, str]]:
    for series in facts.series:
        yield series.text, series.schedule.describe()
    for _, delay in facts.delays:
        yield delay.text, delay.describe()


@dataclass(slots=True)
class _Allowance:
    """How many runs may still be listed."""

    left: int = MAX_LISTED


def _coming(
    facts: Facts, due: datetime, expectations: Expectations, allowance: _Allowance
) -> ComingRun:
    upstreams = expectations.counting(facts)
    bindings = [_binding(facts, up, due, expectations, allowance) for up in upstreams]
    return ComingRun(due, clock_change(facts.job.zone, due), bindings)


def _binding(
    facts: Facts,
    upstream: Upstream,
    due: datetime,
    expectations: Expectations,
    allowance: _Allowance,
) -> Binding:
    span = window(upstream.offset, due, facts.job.zone)
    most = min(MAX_SHOWN, allowance.left)
    if not most:
        return Binding(upstream, span, [], are_more=True)
    runs, are_more = first_runs(expectations, upstream.job_id, span, most)
    allowance.left -= max(1, len(runs))
    is_closed = is_closed_to(facts.job, expectations.facts(upstream.job_id).job)
    return Binding(upstream, span, closed(runs) if is_closed else runs, are_more)


# -- warnings --------------------------------------------------------------------------------------


def _warnings(
    facts: Facts, runs: list[ComingRun], expectations: Expectations, now: datetime
) -> Iterator[str]:
    yield from _job_warnings(facts, runs, now)
    for upstream in facts.upstreams:
        source = expectations.facts(upstream.job_id).job
        is_closed = is_closed_to(facts.job, source)
        subject = f"upstream {source.pk}" + ("" if is_closed else f" ({source.name})")
        match source.status_at(now):
            case JobStatus.DISABLED | JobStatus.TRASHED as status:
                yield f"{subject} is {status.name}: it is not waited for"
            case JobStatus.PAUSED:
                yield f"{subject} is PAUSED: its runs are waited for until it is resumed"
            case JobStatus.EXPIRED:
                yield f"{subject} is EXPIRED: only windows that hold its runs wait for it"
            case JobStatus.ACTIVE:
                pass
    yield from _window_warnings(facts, runs, expectations)


def _job_warnings(facts: Facts, runs: list[ComingRun], now: datetime) -> Iterator[str]:
    job = facts.job
    match job.status_at(now):
        case JobStatus.ACTIVE:
            pass
        case status:
            yield f"the job is {status.name}: nothing runs by itself until that changes"
    if not job.worker_group.is_enabled:
        yield f"the worker group {job.worker_group.name} is disabled: its tasks wait"
    if job.is_one_off:
        return
    if facts.delays:
        yield "of a delay only the first run is known: the next hangs on when that ends"
    if not facts.has_schedule and not facts.upstreams:
        yield "the job has neither schedule nor dependency: it runs only when it is asked to"
    elif not runs:
        yield "the job has no due time to come"


def _worker_warnings(job: Job, now: datetime) -> Iterator[str]:
    """Warn if of the workers that are alive in the group none can run the type."""
    live = workers.live(now).filter(groups=job.worker_group_id)
    lacks = [worker.job_types.get(job.job_type, "it is of another version") for worker in live]
    if lacks and all(lacks):
        yield (
            f"no live worker of the group {job.worker_group.name} can run {job.job_type}:"
            f" {lacks[0]}"
        )


def _window_warnings(
    facts: Facts, runs: list[ComingRun], expectations: Expectations
) -> Iterator[str]:
    for run in runs:
        due = f"{run.due_at.astimezone(facts.job.zone):%Y-%m-%d %H:%M:%S}"
        for binding in run.bindings:
            upstream_id = binding.upstream.job_id
            if binding.runs or binding.are_more:
                continue
            if ends_before_floor(facts, binding.upstream, run.due_at, expectations):
                yield f"the run due {due} is not opened: its window ends before {upstream_id} began"
            else:
                yield f"the run due {due} waits: its window holds no run of {upstream_id}"


def enabling_warnings(job_ids: Iterable[int], *, app: App, now: datetime) -> dict[int, list[str]]:
    """Return which of the app's jobs wait for runs that enabled ones will never have (D-38).

    Other apps' jobs are unknown (W-21). Of very many that wait only some are judged.
    """
    entries = DependencyEntry.objects.filter(upstream_id__in=job_ids, job__in=jobs_of(app))
    entries = entries.exclude(job__status=JobStatus.TRASHED).select_related("job")
    found: dict[int, list[str]] = {}
    for entry in entries.order_by("pk")[:_MAX_JUDGED]:
        try:
            checks.check_graph(entry.job, now=now)
        except InvalidParameters as refusal:
            mine = f"dependencyList.preJobId {entry.upstream_id}: "
            told = [p.removeprefix(mine) for p in refusal.problems if p.startswith(mine)]
            vain = [f"job {entry.job_id} waits for it in vain: {problem}" for problem in told]
            found.setdefault(entry.upstream_id, []).extend(vain)
    return found
