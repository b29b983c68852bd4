"""What tests of the engine share: a private database, rehearsals, and a few rows by their names."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import environ
import psycopg2
from django.apps import apps
from django.conf import settings
from django.core.management import call_command
from django.db import connections, transaction

from jobs.models import App, Job, WorkerGroup
from jobs.rules.enums import CommonStrategy, ExpressionKind
from jobs.rules.spec import DependencyEdit, JobSpec, ScheduleEdit
from jobs.services import submit_job
from sentinel_project.management.commands.simulate import use_private_database
from tasks_app import claims, planner, transitions
from tasks_app.models import Attempt, SystemState, Task
from tasks_app.rules.states import AttemptStatus, TaskStatus
from tasks_app.rules.timing import Lease
from tasks_app.simulation import simulate

R = TypeVar("R")

SCENARIOS = Path(__file__).parent / "scenarios"
SHANGHAI = ZoneInfo("Asia/Shanghai")
ANN = "ann"


def at(text: str) -> datetime:
    """Return an instant of March 2026 in Shanghai: ``at("2 12:00")`` is the second at noon."""
    day, _, clock = text.partition(" ")
    hour, minute, second = map(int, f"{clock or '0:0'}:0".split(":")[:3])
    return datetime(2026, 3, int(day), hour, minute, second, tzinfo=SHANGHAI)


# -- rehearsals ------------------------------------------------------------------------------------


def rehearse(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the report of a document, rehearsed in this process on a database of its own."""
    with private_database():
        return simulate(document)


@contextmanager
def private_database() -> Iterator[None]:
    """Put an empty database in memory in the place of the configured one, and take it away again.

    Its tables are copied from a template that is made once per process.
    """
    template = _template()
    with configured_aside():
        connections.settings["default"].update(_WORDS)
        private = connections.create_connection("default")
        connections["default"] = private
        private.ensure_connection()
        template.backup(private.connection)
        settings.SENTINEL_MISFIRE_GRACE = timedelta(0)
        yield


_WORDS: dict[str, Any] = {
    "ENGINE": "django.db.backends.sqlite3",
    "NAME": ":memory:",
    "OPTIONS": {},
    "CONN_MAX_AGE": None,
    "CONN_HEALTH_CHECKS": False,
}


@contextmanager
def postgres_database(server: str) -> Iterator[None]:
    """Put a new, empty PostgreSQL database in the place of the configured one, for all threads."""
    name = f"sentinel_tests_{os.getpid()}"
    with closing(psycopg2.connect(f"{server}/postgres", connect_timeout=3)) as control:
        control.autocommit = True
        _execute(control, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)", f"CREATE DATABASE {name}")
        try:
            with configured_aside():
                connections.settings["default"].update(
                    _WORDS | dict(environ.Env.db_url_config(f"{server}/{name}"))
                )
                connections["default"] = connections.create_connection("default")
                call_command("migrate", verbosity=0)
                yield
        finally:
            _execute(control, f"DROP DATABASE {name} WITH (FORCE)")


def database_url() -> str:
    """Return the address of the database in use, for a process of a test's own."""
    words = connections["default"].settings_dict
    if connections["default"].vendor == "sqlite":
        return f"sqlite:///{words['NAME']}"
    host = f"{words['USER']}:{words['PASSWORD']}@{words['HOST']}:{words['PORT'] or 5432}"
    return f"postgres://{host}/{words['NAME']}"


@contextmanager
def emptied_tables() -> Iterator[None]:
    """Use the PostgreSQL database that is there as if it were new, and forgive no misfire."""
    tables = [
        model._meta.db_table
        for label in ("jobs", "tasks_app", "logs_app")
        for model in apps.get_app_config(label).get_models(include_auto_created=True)
        if model not in {WorkerGroup, SystemState}
    ]
    with connections["default"].cursor() as cursor:
        cursor.execute(f"TRUNCATE {', '.join(tables)} RESTART IDENTITY CASCADE")
    SystemState.objects.update(is_paused=False)
    grace, settings.SENTINEL_MISFIRE_GRACE = settings.SENTINEL_MISFIRE_GRACE, timedelta(0)
    try:
        yield
    finally:
        settings.SENTINEL_MISFIRE_GRACE = grace


def _execute(control: Any, *statements: str) -> None:
    with control.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def in_threads(*works: Callable[[], R]) -> list[R]:
    """Do all of ``works`` at once, each on a connection of its own, and return their answers."""
    start = threading.Barrier(len(works), timeout=30)

    def one(work: Callable[[], R]) -> R:
        try:
            start.wait()
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result(timeout=60) for future in [pool.submit(one, w) for w in works]]


@cache
def _template() -> sqlite3.Connection:
    """Return a database as the command prepares it."""
    with configured_aside():
        use_private_database()
        template = sqlite3.connect(":memory:", check_same_thread=False)
        connections["default"].ensure_connection()
        connections["default"].connection.backup(template)
    return template


@contextmanager
def configured_aside() -> Iterator[None]:
    """Let the configured database be replaced for a while, and put it back."""
    configured, words = connections["default"], dict(connections.settings["default"])
    grace, disabled = settings.SENTINEL_MISFIRE_GRACE, logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        replaced = connections["default"]
        if replaced is not configured and replaced.connection is not None:
            # Not through close(): Django keeps a database in memory open until the process ends.
            replaced.connection.close()
        connections.settings["default"].clear()
        connections.settings["default"].update(words)
        connections["default"] = configured
        settings.SENTINEL_MISFIRE_GRACE = grace
        logging.disable(disabled)


def scenario(name: str) -> dict[str, Any]:
    """Return a scenario of ``tests/scenarios`` by its file name."""
    text = (SCENARIOS / name).read_text(encoding="utf-8")
    return dict(json.loads(text))


# -- jobs and their runs ---------------------------------------------------------------------------


def cron(text: str) -> ScheduleEdit:
    return ScheduleEdit(kind=ExpressionKind.CRON, text=text)


def delay(text: str) -> ScheduleEdit:
    return ScheduleEdit(kind=ExpressionKind.DELAY, text=text)


def after(
    upstream: Job, offset: str = "cd", strategy: CommonStrategy = CommonStrategy.ALL
) -> DependencyEdit:
    return DependencyEdit(upstream_id=upstream.pk, strategy=strategy, offset=offset)


def submit(app: App, name: str, *, now: datetime, **words: Any) -> Job:
    """Submit a job that does nothing, through the service that the API calls."""
    spec = JobSpec(name=name, job_type="dummy", content="{}", **words)
    with transaction.atomic():
        return submit_job(spec, app=app, user=ANN, now=now)


def tick(now: datetime) -> None:
    """Run the planner's passes as beat does."""
    planner.run_passes(now=now)


def task_of(job: Job, due_at: datetime) -> Task:
    return Task.objects.select_related("job__app", "worker_group").get(job=job, due_at=due_at)


def status_of(task: Task) -> TaskStatus:
    return TaskStatus(Task.objects.values_list("status", flat=True).get(pk=task.pk))


def statuses(job: Job) -> dict[datetime, str]:
    """Return the status of each task of a job by its due time."""
    rows = Task.objects.filter(job=job).order_by("due_at", "pk").values_list("due_at", "status")
    return {due.astimezone(SHANGHAI): TaskStatus(status).name for due, status in rows}


def claim(task: Task, *, now: datetime) -> Attempt | None:
    return claims.claim(task.pk, worker="w1", lease=Lease(), now=now)


def begin(task: Task, *, now: datetime) -> Attempt:
    """Have a worker take a task and start it."""
    attempt = claim(task, now=now)
    assert attempt is not None, f"{task} could not be claimed"
    assert transitions.start(attempt, now=now)
    return attempt


def end(attempt: Attempt, how: AttemptStatus = AttemptStatus.SUCCESS, *, now: datetime) -> None:
    """Have a worker report the end of an attempt."""
    ending = transitions.Ending(status=how, exit_code=0, reason="", text="it ended")
    assert transitions.settle(attempt, ending, now=now) is not None


def run(task: Task, how: AttemptStatus = AttemptStatus.SUCCESS, *, now: datetime) -> None:
    """Have a worker take a task, start it and end it at once."""
    end(begin(task, now=now), how, now=now)
