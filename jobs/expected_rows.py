"""The rows behind expected runs: tasks that exist, and gaps that nobody expects (D-23, D-32)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import OuterRef, QuerySet, Subquery

from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import GapReason
from jobs.rules.windows import Window
from sentinel_project import prepared
from tasks_app.models import Gap, Task
from tasks_app.rules.states import DONE, Reason, TaskKind, TaskStatus

EPSILON = timedelta(microseconds=1)
_DECISIONS = [reason.value for reason in GapReason if not reason.is_loss]
_REMOVED_BY_OPERATOR = {Reason.REMOVED_BY_USER, Reason.SKIPPED_BY_USER}


@dataclass(frozen=True, slots=True)
class ExpectedRun:
    """A due time of an upstream, and how far its run is. ``status`` None: no task yet."""

    due_at: datetime
    status: TaskStatus | None = None
    reason: str = ""

    @property
    def is_done(self) -> bool:
        return self.status in DONE

    @property
    def names(self) -> bool:
        """Tell whether it can name a dependent's run: not if no operator removed it (D-36)."""
        return self.status is not TaskStatus.REMOVED or self.reason in _REMOVED_BY_OPERATOR


def closed(runs: Iterable[ExpectedRun]) -> list[ExpectedRun]:
    """Return runs as a job that is closed to the reader shows them: done, or not (D-80)."""
    return [ExpectedRun(run.due_at, TaskStatus.SUCCESS if run.is_done else None) for run in runs]


def half_open(span: Window) -> Window:
    """Return ``span`` as [start, end) in which a single instant has a length too."""
    return Window(span.start, span.start + EPSILON) if span.is_instant else span


def tasks(job_id: int, span: Window) -> list[ExpectedRun]:
    span = half_open(span)
    return [_run(*row) for row in _states_in(job_id, span.start, span.end)]


def edge_task(job_id: int, span: Window, *, is_last: bool) -> ExpectedRun | None:
    """Return the first or the last run of a job in ``span`` that has a task."""
    span = half_open(span)
    ask = _last_state_in if is_last else _first_state_in
    return next((_run(*row) for row in ask(job_id, span.start, span.end)), None)


class Foreseen:
    """The rows of many jobs in one span, read together, for whoever asks one by one.

    A last task is handed out once, so that whoever asks again reads it as it is then.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[int, Window], ExpectedRun | None] = {}
        self._without_gaps: dict[int, Window] = {}

    def read(self, job_ids: Sequence[int], span: Window) -> None:
        """Read the last tasks of jobs in ``span``, and which of them have no gap there."""
        span = half_open(span)
        self._last |= {(job_id, span): None for job_id in job_ids}
        for job_id, due, status, reason in _last_states(job_ids, span.start, span.end):
            self._last[job_id, span] = _run(due, status, reason)
        with_gaps = set(_jobs_with_decisions(job_ids, span.start, span.end))
        self._without_gaps |= dict.fromkeys(set(job_ids) - with_gaps, span)

    def read_each(self, asked: Iterable[tuple[int, Window]]) -> None:
        """Put the questions of a join together, which has as many as it has upstreams."""
        together: dict[Window, list[int]] = {}
        for job_id, span in asked:
            together.setdefault(span, []).append(job_id)
        for span, job_ids in together.items():
            if len(job_ids) > 1:
                self.read(job_ids, span)

    def edge_task(self, job_id: int, span: Window, *, is_last: bool) -> ExpectedRun | None:
        """Return what ``edge_task`` does, from what was read where that tells it."""
        key = (job_id, half_open(span))
        if is_last and key in self._last:
            return self._last.pop(key)
        return edge_task(job_id, span, is_last=is_last)

    def has_no_gap(self, job_id: int, dues: Sequence[datetime]) -> bool:
        """Tell whether it is known that no gap by decision touches ascending ``dues``."""
        span = self._without_gaps.get(job_id)
        return span is not None and span.contains(dues[0]) and span.contains(dues[-1])


def _run(due_at: datetime, status: int, reason: str) -> ExpectedRun:
    return ExpectedRun(due_at, TaskStatus(status), reason)


def one_off(job_id: int) -> list[ExpectedRun]:
    """Return the only run of a one-off: its task, or its first slot to come."""
    tasks = Task.objects.filter(job_id=job_id, kind=TaskKind.TEMP.value)
    found = tasks.values_list("due_at", "status", "reason").first()
    if found is not None:
        return [_run(*found)]
    rows = ScheduleExpression.objects.filter(job_id=job_id, next_due_at__isnull=False)
    first = rows.order_by("next_due_at").values_list("next_due_at", flat=True).first()
    return [ExpectedRun(first)] if first else []


def first_task_due(job_id: int) -> datetime | None:
    rows = Task.objects.filter(job_id=job_id, kind=TaskKind.SCHEDULE.value).order_by("due_at")
    return rows.values_list("due_at", flat=True).first()


def last_row(job_id: int) -> datetime | None:
    """Return the latest instant at which a job has a task or the end of a gap."""
    ends = [row for ask in (_last_due, _last_gap) for row in ask(job_id)]
    return max(ends, default=None)


@prepared.select
def _last_due(job_id: int) -> QuerySet[Task, datetime]:
    rows = Task.objects.filter(job_id=job_id, kind=TaskKind.SCHEDULE.value).order_by("-due_at")
    return rows.values_list("due_at", flat=True)[:1]


@prepared.select
def _last_gap(job_id: int) -> QuerySet[Gap, datetime]:
    rows = Gap.objects.filter(job_id=job_id).order_by("-to_at")
    return rows.values_list("to_at", flat=True)[:1]


@prepared.select
def decisions(
    job_id: int, expression_id: int | None, start: datetime, end: datetime
) -> QuerySet[Gap, tuple[datetime, datetime]]:
    """The gaps by decision of one expression (None: of named runs) that touch [start, end]."""
    rows = Gap.objects.filter(job_id=job_id, expression_id=expression_id, reason__in=_DECISIONS)
    rows = rows.filter(to_at__gte=start, from_at__lte=end).order_by("from_at")
    return rows.values_list("from_at", "to_at")


@prepared.select
def _jobs_with_decisions(
    job_ids: Sequence[int], start: datetime, end: datetime
) -> QuerySet[Gap, int]:
    rows = Gap.objects.filter(job_id__in=job_ids, reason__in=_DECISIONS)
    rows = rows.filter(to_at__gte=start, from_at__lte=end)
    return rows.order_by().values_list("job_id", flat=True).distinct()


@prepared.select
def jobs(job_ids: Sequence[int]) -> QuerySet[Job]:
    return Job.objects.filter(pk__in=job_ids)


@prepared.select
def _states_in(
    job_id: int, start: datetime, end: datetime
) -> QuerySet[Task, tuple[datetime, int, str]]:
    return _in(job_id, start, end).values_list("due_at", "status", "reason")


@prepared.select
def _first_state_in(
    job_id: int, start: datetime, end: datetime
) -> QuerySet[Task, tuple[datetime, int, str]]:
    rows = _in(job_id, start, end).order_by("due_at")[:1]
    return rows.values_list("due_at", "status", "reason")


@prepared.select
def _last_state_in(
    job_id: int, start: datetime, end: datetime
) -> QuerySet[Task, tuple[datetime, int, str]]:
    rows = _in(job_id, start, end).order_by("-due_at")[:1]
    return rows.values_list("due_at", "status", "reason")


@prepared.select
def _last_states(
    job_ids: Sequence[int], start: datetime, end: datetime
) -> QuerySet[Task, tuple[int, datetime, int, str]]:
    """The last task of each job in [start, end)."""
    of_job = Task.objects.filter(job_id=OuterRef("pk"), kind=TaskKind.SCHEDULE.value)
    of_job = of_job.filter(due_at__gte=start, due_at__lt=end).order_by("-due_at")
    jobs = Job.objects.filter(pk__in=job_ids).annotate(last=Subquery(of_job.values("pk")[:1]))
    rows = Task.objects.filter(pk__in=jobs.values("last"))
    return rows.values_list("job_id", "due_at", "status", "reason")


def _in(job_id: int, start: datetime, end: datetime) -> QuerySet[Task]:
    rows = Task.objects.filter(job_id=job_id, kind=TaskKind.SCHEDULE.value)
    return rows.filter(due_at__gte=start, due_at__lt=end)
