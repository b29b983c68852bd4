"""The ledger as the engine reads it: the rows behind the gates, each an indexed question."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from django.db.models import BooleanField, Exists, ExpressionWrapper, OuterRef, Q, QuerySet
from django.db.models.functions import Now

from jobs.expected import ExpectedRun, half_open
from jobs.facts import Series
from jobs.models import DependencyEntry, Job, ScheduleExpression
from jobs.rules.enums import ExpressionKind, GapReason
from jobs.rules.windows import Window
from sentinel_project import prepared
from tasks_app.models import Gap, SystemState, Task
from tasks_app.rules.states import DONE, UNFINISHED, TaskKind, TaskStatus

_BROKEN = [TaskStatus.FAILED.value, TaskStatus.KILLED.value]
_DONE = [status.value for status in DONE]
_UNFINISHED = [status.value for status in UNFINISHED]
_LOSSES = [reason.value for reason in GapReason if reason.is_loss]


def first_broken(job_id: int, span: Window) -> ExpectedRun | None:
    """Return the earliest FAILED or KILLED run of a job in ``span``."""
    return _first_of(_broken, job_id, span)


def first_unfinished(job_id: int, span: Window) -> ExpectedRun | None:
    """Return the earliest run of a job in ``span`` whose task has not ended."""
    return _first_of(_unfinished, job_id, span)


def first_done(job_id: int, span: Window) -> ExpectedRun | None:
    """Return the earliest run of a job in ``span`` that counts as done."""
    return _first_of(_done, job_id, span)


_States = QuerySet[Task, tuple[datetime, int, str]]


def _first_of(
    ask: Callable[[int, datetime, datetime], list[tuple[datetime, int, str]]],
    job_id: int,
    span: Window,
) -> ExpectedRun | None:
    span = half_open(span)
    for due, status, reason in ask(job_id, span.start, span.end):
        return ExpectedRun(due, TaskStatus(status), reason)
    return None


# One query each, so that the statuses are part of the text and a partial index may serve.


@prepared.select
def _broken(job_id: int, start: datetime, end: datetime) -> _States:
    return _first_with(_BROKEN, job_id, start, end)


@prepared.select
def _unfinished(job_id: int, start: datetime, end: datetime) -> _States:
    return _first_with(_UNFINISHED, job_id, start, end)


@prepared.select
def _done(job_id: int, start: datetime, end: datetime) -> _States:
    return _first_with(_DONE, job_id, start, end)


def _first_with(statuses: Sequence[int], job_id: int, start: datetime, end: datetime) -> _States:
    rows = Task.objects.filter(job_id=job_id, kind=TaskKind.SCHEDULE.value, status__in=statuses)
    rows = rows.filter(due_at__gte=start, due_at__lt=end).order_by("due_at")[:1]
    return rows.values_list("due_at", "status", "reason")


def losses(job_id: int, span: Window) -> list[tuple[datetime, datetime]]:
    """Return the first and last slots of gaps by loss that touch ``span``, ten at most."""
    span = half_open(span)
    return _losses(job_id, span.start, span.end)


@prepared.select
def _losses(
    job_id: int, start: datetime, end: datetime
) -> QuerySet[Gap, tuple[datetime, datetime]]:
    rows = Gap.objects.filter(job_id=job_id, reason__in=_LOSSES, to_at__gte=start, from_at__lt=end)
    return rows.order_by("from_at").values_list("from_at", "to_at")[:10]


def batch_runs(batch_id: int, job_id: int, span: Window) -> QuerySet[Task]:
    """Return the tasks of one job in a batch whose due times lie in ``span``, ascending."""
    span = half_open(span)
    rows = Task.objects.filter(batch_id=batch_id, job_id=job_id)
    return rows.filter(due_at__gte=span.start, due_at__lt=span.end).order_by("due_at")


def batch_predecessor(task: Task) -> Task | None:
    """Return the task of the same job and batch that is due before this one."""
    rows = Task.objects.filter(batch=task.batch, job_id=task.job_id)
    return rows.filter(due_at__lt=task.due_at).order_by("-due_at").first()


def loss_at(job_id: int, due_at: datetime) -> Gap | None:
    """Return the gap by loss that a due time lies in."""
    rows = Gap.objects.filter(job_id=job_id, reason__in=_LOSSES)
    return rows.filter(from_at__lte=due_at, to_at__gte=due_at).first()


def delay_runs(job_id: int) -> QuerySet[Task]:
    """Return the runs that a job's delays opened, those edited away included."""
    rows = Task.objects.filter(job_id=job_id, kind=TaskKind.SCHEDULE.value)
    is_delay = Q(opened_by_expression__kind=ExpressionKind.DELAY.value)
    return rows.filter(is_delay | Q(opened_by_expression__isnull=True))


def has_unfinished_delay(job_id: int) -> bool:
    """Tell whether a run of a delay has not ended: at most one at a time (D-17)."""
    return delay_runs(job_id).filter(status__in=_UNFINISHED).exists()


def running_of_job(job_id: int) -> QuerySet[Task]:
    return Task.objects.filter(job_id=job_id, status=TaskStatus.RUNNING.value)


def running_of_app(app_id: int) -> int:
    return Task.objects.filter(job__app_id=app_id, status=TaskStatus.RUNNING.value).count()


def is_awaited() -> ExpressionWrapper[Q]:
    """Return the question whether the end of a row's task may let something go, for ``job``.

    Somebody depends on the job, or its own next run waits: for the serial order, or for a delay.
    """
    dependents = DependencyEntry.objects.filter(upstream_id=OuterRef("job_id"))
    asked = Q(awaits_itself()) | Q(Exists(dependents))
    return ExpressionWrapper(asked, output_field=BooleanField())


def awaits_itself() -> ExpressionWrapper[Q]:
    """As ``is_awaited``, by the job's own next run alone."""
    delays = ScheduleExpression.objects.filter(
        job_id=OuterRef("job_id"), kind=ExpressionKind.DELAY.value
    )
    asked = Q(job__is_serial=True) | Q(Exists(delays))
    return ExpressionWrapper(asked, output_field=BooleanField())


def for_claim(tasks: QuerySet[Task]) -> QuerySet[Task]:
    """Add what a claim asks: job, app and group, ``is_paused``, ``is_awaited``, and ``read_at``.

    The latter is the instant by the database's clock.
    """
    is_paused = Exists(SystemState.objects.filter(is_paused=True))
    rows = tasks.select_related("job__app", "worker_group")
    return rows.annotate(is_paused=is_paused, is_awaited=is_awaited(), read_at=Now())


def is_system_paused() -> bool:
    return bool(_paused())


@prepared.select
def _paused() -> QuerySet[SystemState, int]:
    return SystemState.objects.filter(is_paused=True).values_list("pk", flat=True)


def gap_of(
    job: Job, series: Series, dues: Sequence[datetime], reason: GapReason, now: datetime
) -> Gap:
    """Return the unsaved gap of slots that an expression yielded, in ascending order."""
    return Gap(
        job=job,
        expression_id=series.id,
        schedule_kind=series.kind,
        schedule_text=series.text,
        anchor_at=series.anchor_at,
        from_at=dues[0],
        to_at=dues[-1],
        count=len(dues),
        reason=reason.value,
        created_at=now,
    )
