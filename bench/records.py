"""Rows for the benches: an app, and jobs that are due when a measurement wants them to be."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import stack
from django.db import connection, transaction
from django.db.models import DateTimeField

from jobs import app_services
from jobs.models import App, DependencyEntry, Job, ScheduleExpression
from jobs.rules.enums import AppKind
from sentinel_project import clock
from tasks_app import wakeup
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import TaskKind, TaskStatus

_numbers = itertools.count()
_BATCH = 1000


def new_app() -> tuple[App, str]:
    """Return an app and its key."""
    name = f"bench-{next(_numbers)}"
    return app_services.register_app(name=name, kind=AppKind.ADMIN, now=clock.now())


def once(due_at: datetime) -> str:
    """Return a cron text that fires at ``due_at``, in UTC, and never again."""
    return f"{due_at:%-S %-M %-H %-d %-m ? %Y}"


def make_jobs(count: int, app: App, *, now: datetime, **words: Any) -> list[Job]:
    """Create dummy jobs without schedule, all at once."""
    words = {"job_type": "dummy", "content": "{}", "time_zone": "UTC"} | words
    stamps = {"created_at": now, "updated_at": now, "floor_at": now}
    rows = (Job(app=app, name=f"job {next(_numbers)}", **stamps, **words) for _ in range(count))
    return Job.objects.bulk_create(rows, batch_size=_BATCH)


@transaction.atomic
def schedule(jobs: Iterable[Job], text: str, *, first: datetime) -> None:
    """Give each job the cron ``text``, whose next slot is ``first``, and wake beat."""
    ScheduleExpression.objects.bulk_create(
        (
            ScheduleExpression(
                job=job, text=text, anchor_at=job.floor_at, floor_at=job.floor_at, next_due_at=first
            )
            for job in jobs
        ),
        batch_size=_BATCH,
    )
    wakeup.signal()


def depend(pairs: Iterable[tuple[Job, Job]], offset: str = "cd") -> None:
    """Have the second of each pair wait for the first."""
    DependencyEntry.objects.bulk_create(
        (DependencyEntry(job=job, upstream=upstream, offset=offset) for upstream, job in pairs),
        batch_size=_BATCH,
    )


def make_tasks(slots: Iterable[tuple[Job, datetime]], status: TaskStatus) -> list[Task]:
    """Create a task for each slot, as if it had come to ``status`` in the ordinary way."""
    is_done = status is TaskStatus.SUCCESS
    return Task.objects.bulk_create(
        (
            Task(
                job=job,
                kind=TaskKind.SCHEDULE.value,
                due_at=due,
                data_at=due,
                status=status.value,
                opened_at=due,
                released_at=due if is_done else None,
                ready_at=due if is_done else None,
                started_at=due if is_done else None,
                ended_at=due if is_done else None,
                worker_group_id=1,
            )
            for job, due in slots
        ),
        batch_size=_BATCH,
    )


def make_history(count: int, app: App) -> None:
    """Fill the tables with tasks that ended one by one up to a week ago, by 1,000 jobs."""
    if not count:
        return
    week_ago = clock.now() - timedelta(days=7)
    jobs = make_jobs(min(1000, count), app, now=week_ago)
    (task,) = make_tasks([(jobs[0], week_ago)], TaskStatus.SUCCESS)
    fields = [field for field in Task._meta.local_concrete_fields if not field.primary_key]
    own = [str(field.column) for field in fields]
    shift = _SHIFT[connection.vendor]
    taken = [
        f"{jobs[0].pk} + n % {len(jobs)}"
        if column == "job_id"
        else shift.format(column)
        if isinstance(field, DateTimeField)
        else column
        for field, column in zip(fields, own, strict=True)
    ]
    with connection.cursor() as cursor:
        cursor.execute(
            f"WITH RECURSIVE numbers(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers"
            f" WHERE n < {count - 1}) INSERT INTO tasks_app_task ({', '.join(own)})"
            f" SELECT {', '.join(taken)} FROM tasks_app_task, numbers WHERE id = {task.pk}"
        )
    analyze()


def analyze() -> None:
    """Let the database look at its tables, as PostgreSQL does by itself within a minute."""
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")


#: An instant earlier by as many seconds as the number of the row.
_SHIFT = {
    "postgresql": "{0} - n * interval '1 second'",
    "sqlite": "strftime('%Y-%m-%d %H:%M:%f', {0}, '-' || n || ' seconds') || '000'",
}


def count_ended(jobs: Sequence[Job]) -> int:
    return Task.objects.filter(job_id__in=_ids(jobs), ended_at__isnull=False).count()


def starts(jobs: Sequence[Job]) -> dict[int, datetime]:
    """Return when the first attempt of each job's task was recorded as started."""
    rows = Attempt.objects.filter(task__job_id__in=_ids(jobs), number=1, started_at__isnull=False)
    return {job_id: at for job_id, at in rows.values_list("task__job_id", "started_at") if at}


def ends(jobs: Sequence[Job]) -> dict[int, datetime]:
    rows = Task.objects.filter(job_id__in=_ids(jobs), ended_at__isnull=False)
    return {job_id: at for job_id, at in rows.values_list("job_id", "ended_at") if at}


def wait_for_ends(running: stack.Stack, jobs: Sequence[Job], what: str, within: float) -> None:
    """Count only while nothing is open, for among a million that takes the cores from the rest."""
    running.wait(lambda: not _is_any_open() and count_ended(jobs) == len(jobs), what, within)


def _is_any_open() -> bool:
    """Tell whether any task is not over; each status has an index of its own."""
    return any(Task.objects.filter(status=status.value).exists() for status in _OPEN)


_OPEN = (TaskStatus.READY, TaskStatus.RUNNING, TaskStatus.WAITING)


def _ids(jobs: Sequence[Job]) -> list[int]:
    return [job.pk for job in jobs]
