"""Reads of tasks and attempts. A task is its job's app's (D-80, W-21)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Q, QuerySet

from jobs.models import App, Job
from sentinel_project import prepared
from sentinel_project.errors import InvalidParameters, NotFound, Refused
from tasks_app.models import Attempt, Event, SystemState, Task
from tasks_app.rules.states import FINAL, Finder, TaskKind, TaskStatus

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_MAX_MICROSECONDS = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_CURSOR = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class Page:
    """Some of the tasks, and where the next page starts; None: there is none."""

    tasks: Sequence[Task]
    cursor: str | None


def tasks_of(app: App) -> QuerySet[Task]:
    """Return the tasks that ``app`` may see."""
    return Task.objects.all() if app.is_admin else Task.objects.filter(job__app=app)


def task_of(app: App, task_id: int) -> Task:
    """Return one task; an unknown id and another app's task are refused alike."""
    rows = tasks_of(app).select_related("job__app", "worker_group")
    task = rows.filter(pk=task_id).first()
    if task is None:
        raise NotFound(f"no task {task_id}")
    return task


def bare_task_of(app: App, task_id: int) -> Task:
    """Return one task as ``task_of`` does, without its job: for what is asked again and again."""
    rows = _any_task(task_id) if app.is_admin else _own_task(task_id, app.pk)
    if not rows:
        raise NotFound(f"no task {task_id}")
    return rows[0]


@prepared.select
def _any_task(task_id: int) -> QuerySet[Task]:
    return Task.objects.filter(pk=task_id)


@prepared.select
def _own_task(task_id: int, app_id: int) -> QuerySet[Task]:
    return Task.objects.filter(pk=task_id, job__app_id=app_id)


def owed_task_of(job: Job, due_at: datetime) -> Task | None:
    """Return the task that stands for a due time of ``job``: no rerun, no run on demand."""
    rows = job.tasks.filter(kind__in=[TaskKind.SCHEDULE.value, TaskKind.TEMP.value])
    return rows.select_related("job__app", "worker_group").filter(due_at=due_at).first()


def only_task_of(job: Job) -> Task:
    """Return the task of a one-off job."""
    if not job.is_one_off:
        raise Refused(f"job {job.pk} is not a one-off; ask /api/job/query/taskIds for its tasks")
    task = job.tasks.filter(kind=TaskKind.TEMP.value).first()
    if task is None and job.history_from is not None:
        raise Refused(f"the task of job {job.pk} was removed by retention")
    if task is None:
        raise Refused(f"job {job.pk} has no task yet")
    return task


def task_page(
    job: Job,
    *,
    status: TaskStatus | None = None,
    kind: TaskKind | None = None,
    due_from: datetime | None = None,
    due_until: datetime | None = None,
    limit: int,
    cursor: str = "",
) -> Page:
    """Return up to ``limit`` tasks of ``job``, newest due time first, bounds included."""
    wanted = Q() if status is None else Q(status=status)
    wanted &= Q() if kind is None else Q(kind=kind.value)
    wanted &= Q() if due_from is None else Q(due_at__gte=due_from)
    wanted &= Q() if due_until is None else Q(due_at__lte=due_until)
    wanted &= _after(cursor) if cursor else Q()
    rows = job.tasks.filter(wanted).defer("extra").order_by("-due_at", "-pk")
    found = list(rows[: limit + 1])
    page = found[:limit]
    return Page(page, _cursor(page[-1]) if len(found) > limit else None)


def _cursor(task: Task) -> str:
    return f"{(task.due_at - _EPOCH) // _MICROSECOND}-{task.pk}"


def _after(cursor: str) -> Q:
    """Return the condition of the tasks that follow the one that ``cursor`` names."""
    found = _CURSOR.fullmatch(cursor)
    if found is None or int(found[1]) > _MAX_MICROSECONDS:
        raise InvalidParameters("cursor must be the cursor of an earlier answer, unchanged")
    due_at = _EPOCH + int(found[1]) * _MICROSECOND
    return Q(due_at__lt=due_at) | Q(due_at=due_at, pk__lt=int(found[2]))


def attempts_of(task: Task) -> list[Attempt]:
    return list(task.attempts.order_by("number").defer(*Attempt.WHAT_RAN))


def whole_attempt_of(task: Task, number: int) -> Attempt:
    """Return the attempt with that number and what it ran; refused if there is none."""
    attempt = task.attempts.filter(number=number).first()
    if attempt is None:
        raise NotFound(f"no attempt {number} of task {task.pk}")
    return attempt


def attempt_of(task: Task, number: int) -> Attempt | None:
    """Return the attempt with that number. None: it may yet come. Refused if it cannot (W-20)."""
    attempt = next(iter(_attempt(task.pk, number)), None)
    if attempt is None and TaskStatus(task.status) in FINAL:
        ended = f"task {task.pk} ended {TaskStatus(task.status).name}"
        count = f"after {task.attempt_count} attempts" if task.attempt_count else "without one"
        raise Refused(f"no attempt {number}: {ended} {count}")
    return attempt


def ends_carried_on(since: datetime) -> dict[Finder, int]:
    """Return how many ends of tasks were carried on since then, by whoever found them (X-8).

    Normally the workers find all: what beat finds, it finds in place of one that died, or in the
    moment between an end and the look that follows it.
    """
    rows = Event.objects.filter(processed_at__gte=since, task__isnull=False)
    counted = rows.values_list("processed_by").annotate(Count("pk")).order_by()
    found = dict.fromkeys(Finder, 0)
    return found | {Finder(by): count for by, count in counted if by}


@prepared.select
def _attempt(task_id: int, number: int) -> QuerySet[Attempt]:
    return Attempt.objects.filter(task_id=task_id, number=number).defer(*Attempt.WHAT_RAN)


def system_state() -> SystemState:
    """Return the one row of the whole-system pause."""
    return SystemState.objects.get(pk=1)
