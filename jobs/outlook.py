"""What lies ahead: the expected runs of windows, and never more of them than can be shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from jobs.expected import Expectations, ExpectedRun, half_open
from jobs.facts import Facts, naming_of
from jobs.models import Job
from jobs.rules.windows import Window
from sentinel_project.errors import InvalidParameters, Refused
from tasks_app.models import SkipMark, Task
from tasks_app.rules.states import Reason, TaskKind

MAX_SPAN = timedelta(days=7)
MAX_JOBS = 1_000
MAX_RUNS = 10_000
_OWED_KINDS = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """A run that a job owes. ``task`` None: it is not opened yet."""

    job: Job
    due_at: datetime
    task: Task | None
    #: An operator marked it to be left out (D-55).
    is_skipped: bool


def first_runs(
    expectations: Expectations, job_id: int, span: Window, most: int
) -> tuple[list[ExpectedRun], bool]:
    """Return up to ``most`` of the expected runs in ``span``, and whether there are others.

    A window is cut before it is computed: one run a second for a year would fill the memory.
    """
    span = half_open(span)
    end = _end_of(expectations, expectations.facts(job_id), span, most)
    runs = expectations.runs(job_id, Window(span.start, end))
    return runs[:most], end < span.end or len(runs) > most


def _end_of(expectations: Expectations, facts: Facts, span: Window, most: int) -> datetime:
    """Return where ``span`` holds some more than ``most`` slots already, or its end."""
    sources = {facts.job.pk: facts}
    for job_id in expectations.behind(facts) if facts.is_named else ():
        naming = naming_of(expectations.counting(expectations.facts(job_id)))
        sources |= {up.job_id: expectations.facts(up.job_id) for up in naming}
    ends = [span.end]
    for source in sources.values():
        for series in source.series:
            job = source.job
            start = max(span.start, series.floor_at, job.active_from or span.start)
            start = max(start, job.history_from or start)
            slots = series.schedule.between(start, max(start, span.end))
            ends += islice(slots, most + 1, most + 2)
    return min(ends)


def plan(jobs: Sequence[Job], start: datetime, end: datetime) -> list[PlannedRun]:
    """Return the runs that ``jobs`` owe in [``start``, ``end``), by due time.

    DISABLED and TRASHED jobs owe nothing; what they have run is listed all the same.
    """
    if start > end:
        raise InvalidParameters("from: it lies after to")
    if end - start > MAX_SPAN:
        raise InvalidParameters(f"to: it lies more than {MAX_SPAN.days} days after from")
    if len(jobs) > MAX_JOBS:
        raise Refused(f"a plan is of at most {MAX_JOBS} jobs; narrow the filters")
    expectations = Expectations(is_reading=True)
    expectations.take(jobs)
    span = Window(start, end)
    if span.is_instant:
        return []
    found: list[PlannedRun] = []
    for job in jobs:
        found += _runs_of(job, expectations, span)
        if len(found) > MAX_RUNS:
            raise _too_many()
    return sorted(found, key=lambda run: (run.due_at, run.job.pk))


def _too_many() -> Refused:
    return Refused(f"a plan has at most {MAX_RUNS} runs; choose a shorter range or fewer jobs")


def _runs_of(job: Job, expectations: Expectations, span: Window) -> Iterator[PlannedRun]:
    runs, are_more = first_runs(expectations, job.pk, span, MAX_RUNS)
    if are_more:
        raise _too_many()
    rows = Task.objects.filter(job=job, kind__in=_OWED_KINDS).defer("extra")
    rows = rows.filter(due_at__gte=span.start, due_at__lt=span.end)
    tasks = {task.due_at: task for task in rows}
    marks = set(SkipMark.objects.filter(job=job).values_list("due_at", flat=True))
    is_owed = expectations.facts(job.pk).counts
    for run in runs:
        if span.contains(run.due_at) and (run.due_at in tasks or is_owed):
            task = tasks.get(run.due_at)
            yield PlannedRun(job, run.due_at, task, task is None and run.due_at in marks)


def reason_of(run: PlannedRun) -> str:
    """Return the reason of a planned run as a task has it; empty: none."""
    if run.task is not None:
        return run.task.reason
    return Reason.SKIPPED_BY_USER.value if run.is_skipped else ""
