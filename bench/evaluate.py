"""What an upstream's end costs: long windows, many dependents, many upstreams."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import stack
from django.db import connection, transaction
from records import depend, make_jobs, make_tasks, new_app, schedule

from jobs.models import App
from sentinel_project import clock
from tasks_app import planner
from tasks_app.models import Event, Task
from tasks_app.rules.states import Finder, TaskStatus

MINUTE = timedelta(minutes=1)
START, DUE = datetime(2026, 9, 1, tzinfo=UTC), datetime(2026, 10, 1, tzinfo=UTC)
RUNS = (DUE - START) // MINUTE
WIDTH = stack.scaled(500)
DONE, WAITING = TaskStatus.SUCCESS, TaskStatus.WAITING


def process(task: Task) -> float:
    """Carry the event of a task's end, in a transaction that is undone; return milliseconds."""
    with transaction.atomic():
        Event.objects.create(job_id=task.job_id, task=task, created_at=task.due_at)
        began = clock.monotonic()
        planner.process_events(by=Finder.TRIGGER, now=DUE + MINUTE)
        taken = (clock.monotonic() - began) * 1000
        transaction.set_rollback(True)
    return taken


def report(name: str, tasks: Sequence[Task], **more: int) -> None:
    """Process the events of ``tasks`` one by one, after one that warms up and is counted."""
    queries = Counter[str]()

    def count(execute: Callable[..., object], sql: str, *rest: object) -> object:
        queries[sql.split(None, 1)[0]] += 1
        return execute(sql, *rest)

    with connection.execute_wrapper(count):
        process(tasks[0])
    times = [process(task) for task in tasks]
    stack.figure(name, times, "ms", queries=dict(queries), **more)


def long_window(app: App) -> None:
    """A monthly dependent waits for the last month of an upstream that runs every minute."""
    (upstream,) = make_jobs(1, app, now=START)
    (dependent,) = make_jobs(1, app, now=START)
    schedule([upstream], "0 * * * * ?", first=DUE)
    schedule([dependent], "0 0 0 1 * ?", first=DUE + timedelta(days=31))
    depend([(upstream, dependent)], offset="M(-1)")
    make_tasks([(dependent, DUE)], WAITING)
    done = make_tasks(((upstream, START + n * MINUTE) for n in range(RUNS - 1)), DONE)
    sample = done[:: len(done) // stack.scaled(50)]
    report("event.long_window.last_outstanding", sample, runs=RUNS)
    (last,) = make_tasks([(upstream, DUE - MINUTE)], DONE)
    report("event.long_window.done", [last] * 3, runs=RUNS)


def fan_out(app: App) -> None:
    """One end lets many jobs go: each gets its run, named and released."""
    (upstream,) = make_jobs(1, app, now=START)
    dependents = make_jobs(WIDTH, app, now=START)
    schedule([upstream], "0 0 1 * * ?", first=DUE)
    depend([(upstream, job) for job in dependents])
    (ended,) = make_tasks([(upstream, DUE - timedelta(hours=23))], DONE)
    report("event.fan_out", [ended] * 3, dependents=WIDTH)


def fan_in(app: App) -> None:
    """One job waits for many: each end is looked at while the others are still out."""
    upstreams = make_jobs(WIDTH, app, now=START)
    (dependent,) = make_jobs(1, app, now=START)
    schedule(upstreams, "0 0 1 * * ?", first=DUE)
    depend([(job, dependent) for job in upstreams])
    due_at = DUE - timedelta(hours=23)
    make_tasks([(dependent, due_at)], WAITING)
    ended: list[Task] = []
    for count in (1, WIDTH // 2, WIDTH):
        ended += make_tasks(((job, due_at) for job in upstreams[len(ended) : count]), DONE)
        report("event.fan_in", ended[-1:] * 3, upstreams=WIDTH, ended=count)


def main() -> None:
    with stack.database():
        app, _ = new_app()
        long_window(app)
        fan_out(app)
        fan_in(app)
    stack.table()


if __name__ == "__main__":
    main()
