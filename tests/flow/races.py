"""What the tests of races share: jobs that are due at one, and ways to be there at once."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

from django.db import connection, connections, transaction

from jobs.models import App, Job
from sentinel_project import clock
from tasks_app import planner
from tasks_app.models import Attempt
from tasks_app.rules.states import Finder
from tests.engine import at, cron, end, submit

R = TypeVar("R")

ROUNDS = 1000 if os.environ.get("HYPOTHESIS_PROFILE") == "thorough" else 12
START, DUE = at("2 00:00"), at("2 01:00")

_numbers = itertools.count()


def a_name() -> str:
    """Return a name that nothing has yet: what one round commits is there in the next."""
    return f"racer-{next(_numbers)}"


def scheduled(app: App, **words: Any) -> Job:
    """Submit a job that is due at 01:00."""
    words.setdefault("schedule", (cron("0 0 1 * * ?"),))
    return submit(app, a_name(), now=START, **words)


def finish(attempt: Attempt) -> None:
    """End an attempt and carry its event on, as a worker does (X-7)."""
    end(attempt, now=DUE)
    planner.process_events(by=Finder.TRIGGER, now=DUE)


def execute(*statements: str) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


@contextmanager
def held(*statements: str) -> Iterator[None]:
    """Hold the locks of ``statements`` in a transaction of another connection."""
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with transaction.atomic():
            execute(*statements)
            is_held.set()
            assert is_over.wait(30)
        connections.close_all()

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_held.wait(10)
    try:
        yield
    finally:
        is_over.set()
        holder.join()


def meanwhile(work: Callable[[], R], held: Callable[[], object]) -> R:
    """Do ``held``; before it commits start ``work`` elsewhere and let it go as far as it can."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            held()
            future = pool.submit(closing, work)
            wait_until_stuck_or_done(future)
        return future.result(timeout=30)


def closing(work: Callable[[], R]) -> R:
    """Do ``work``, and leave no connection of this thread behind."""
    try:
        return work()
    finally:
        connections.close_all()


def wait_until_stuck_or_done(future: Future[Any]) -> None:
    """Wait until a work of another thread is done, or something waits for a lock."""
    pause, deadline = threading.Event(), clock.monotonic() + 20
    while not future.done():
        assert clock.monotonic() < deadline, "it neither ends nor waits for a lock"
        with connection.cursor() as cursor:
            # What the server's processes do is read once in a transaction, unless it is forgotten.
            cursor.execute("SELECT pg_stat_clear_snapshot()")
            cursor.execute(
                "SELECT count(*) FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
            if cursor.fetchone()[0]:
                return
        pause.wait(0.01)
