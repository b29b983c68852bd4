"""What a dummy costs the slot that runs it: no broker, no beat, one task after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

import psutil
import stack
from django.db import connection
from records import analyze, make_jobs, make_tasks, new_app

from jobs.models import App
from sentinel_project import clock
from tasks_app import runner
from tasks_app.models import Task
from tasks_app.rules.states import TaskStatus
from tasks_app.turns import Turn

COUNT = stack.scaled(3000)


class Spent:
    """Where the time goes: statements and commits are counted and timed, CPU is of both sides."""

    def __init__(self) -> None:
        self.statements = self.commits = 0
        self.in_statements = self.in_commits = 0.0

    def statement(self, execute: Callable[..., object], *words: Any) -> object:
        began = time.perf_counter()
        try:
            return execute(*words)
        finally:
            self.statements += 1
            self.in_statements += time.perf_counter() - began

    def commit(self, commit: Callable[[], None]) -> None:
        began = time.perf_counter()
        commit()
        self.commits += 1
        self.in_commits += time.perf_counter() - began


def prepare(count: int, app: App, now: datetime) -> None:
    jobs = make_jobs(count, app, now=now, is_one_off=True)
    make_tasks(((job, now) for job in jobs), TaskStatus.READY)
    Task.objects.filter(status=TaskStatus.READY).update(ready_at=now)
    analyze()


def run_all() -> None:
    finished = runner.run_next(Turn(1, math.inf), worker="bench", clock=clock.now)
    assert finished.is_last, finished


def session_cpu() -> float:
    """Return what the database's session of this process has spent; embedded: it is our own."""
    if stack.OPTIONS.stack == "embedded":
        return 0.0
    times = psutil.Process(connection.connection.info.backend_pid).cpu_times()
    return float(times.user + times.system)


def main() -> None:
    spent = Spent()
    with stack.database():
        app, _ = new_app()
        prepare(100, app, clock.now())
        run_all()  # to warm up
        prepare(COUNT, app, clock.now())
        commit = connection._commit  # type: ignore[attr-defined]
        connection._commit = lambda: spent.commit(commit)  # type: ignore[attr-defined]
        own, theirs, began = time.process_time(), session_cpu(), time.perf_counter()
        with connection.execute_wrapper(spent.statement):
            run_all()
        taken = time.perf_counter() - began
        own, theirs = time.process_time() - own, session_cpu() - theirs
    stack.figure("slot.dummy", [COUNT / taken], "tasks/s", tasks=COUNT)
    for name, seconds in (
        ("whole", taken),
        ("in_statements", spent.in_statements),
        ("in_commits", spent.in_commits),
        ("worker_cpu", own),
        ("session_cpu", theirs),
    ):
        stack.figure(f"slot.{name}", [seconds / COUNT * 1000], "ms a task")
    stack.figure("slot.statements", [spent.statements / COUNT], "a task")
    stack.figure("slot.commits", [spent.commits / COUNT], "a task")
    stack.table()


if __name__ == "__main__":
    main()
