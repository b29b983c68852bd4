"""A database that refuses one statement is not lost: the passes of beat go on (PostgreSQL)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import datetime
from functools import partial
from pathlib import Path

import pytest
from django.db import Error, OperationalError, connection, transaction

from jobs.services.edits import lock_graph
from sentinel_project import clock, dbfaults
from sentinel_project.beat import Scheduler as Beat
from sentinel_project.celery import app as celery
from tasks_app import schedulers
from tasks_app.models import Scheduler
from tests.builders import NOW
from tests.engine import in_threads
from tests.flow.races import ROUNDS, a_name, execute, held

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("postgres")]


def connect_anew() -> None:
    connection.close()
    connection.ensure_connection()


def cancelled() -> None:
    execute("SET LOCAL statement_timeout = '10ms'", "SELECT pg_sleep(10)")


def locked() -> None:
    with held("LOCK TABLE jobs_job IN ACCESS EXCLUSIVE MODE"):
        execute("LOCK TABLE jobs_job IN ACCESS SHARE MODE NOWAIT")


def ended() -> None:
    execute("SELECT pg_terminate_backend(pg_backend_pid())")


def mistaken() -> None:
    execute("SELECT no_such_column FROM jobs_job")


def error_of(work: Callable[[], None]) -> Error:
    with pytest.raises(Error) as raised, transaction.atomic():
        work()
    connect_anew()
    return raised.value


@pytest.mark.parametrize(
    ("work", "is_locked", "is_lost"),
    [
        pytest.param(cancelled, False, False, id="statement timeout"),
        pytest.param(locked, True, False, id="lock timeout"),
        pytest.param(mistaken, False, False, id="no such column"),
        pytest.param(ended, False, True, id="the session is ended"),
    ],
)
def test_what_a_server_refuses_is_told_from_its_loss(
    work: Callable[[], None], is_locked: bool, is_lost: bool
) -> None:
    error = error_of(work)

    assert (dbfaults.is_locked(error), dbfaults.is_lost(error)) == (is_locked, is_lost)


def test_a_server_that_does_not_answer_is_lost() -> None:
    error = OperationalError("could not connect to server: Connection refused")

    assert dbfaults.is_lost(error)


def test_a_locked_file_is_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "busy.sqlite3"
    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(path, timeout=0)) as other:
        one.execute("BEGIN IMMEDIATE")
        with pytest.raises(sqlite3.OperationalError) as busy:
            other.execute("BEGIN IMMEDIATE")
    error = OperationalError("database is locked")
    error.__cause__ = busy.value

    assert (dbfaults.is_locked(error), dbfaults.is_lost(error)) == (True, False)


@pytest.fixture
def beat() -> Iterator[Beat]:
    made = Beat(app=celery, lazy=True)
    execute("SET lock_timeout = '50ms'")
    yield made
    made.close()
    connect_anew()


def test_a_planner_that_waits_for_a_lock_in_vain_keeps_nothing_else_from_running(
    beat: Beat, caplog: pytest.LogCaptureFixture
) -> None:
    """A tick that is skipped is one in which nobody is rescued or rung, and no beat is heard of."""
    before = clock.now()

    with held("LOCK TABLE jobs_scheduleexpression IN ACCESS EXCLUSIVE MODE"):
        beat.tick()

    (failed,) = [r for r in caplog.records if r.message.startswith("beat.")]
    assert (failed.message, vars(failed)["pass"]) == ("beat.pass_failed", "plan")
    assert Scheduler.objects.filter(beat_at__gt=before).exists()


def test_a_lost_session_ends_the_tick_and_the_next_one_has_a_new_one(
    beat: Beat, caplog: pytest.LogCaptureFixture
) -> None:
    (pid,) = pid_of_this_session()
    in_threads(partial(execute, f"SELECT pg_terminate_backend({pid})"))

    beat.tick()
    beat.tick()

    failures = [r.message for r in caplog.records if r.message.startswith("beat.")]
    assert failures == ["beat.database_failed"]
    assert pid_of_this_session() != (pid,)


def pid_of_this_session() -> tuple[int]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (pid,) = cursor.fetchone()
    return (pid,)


# -- the lease of the periodic tasks ---------------------------------------------------------------


def test_an_edit_under_way_does_not_hold_up_the_lease() -> None:
    """D-39: edits are checked for cycles one at a time, for as long as each of them takes."""
    name = a_name()
    schedulers.beat(name, now=NOW)

    with transaction.atomic():
        lock_graph()
        (has_lease,) = in_threads(partial(leased, name, NOW))

    assert has_lease
    schedulers.leave(name)


def leased(name: str, now: datetime) -> bool:
    with transaction.atomic():
        execute("SET LOCAL lock_timeout = '1s'")
        return schedulers.lease(name, now=now)


def entered_and_leased(name: str) -> bool:
    schedulers.beat(name, now=NOW)
    return schedulers.lease(name, now=NOW)


def test_of_beats_that_start_at_once_one_has_the_lease() -> None:
    for _ in range(ROUNDS):
        names = [a_name() for _ in range(4)]

        won = in_threads(*(partial(entered_and_leased, name) for name in names))

        assert sum(won) == 1
        for name in names:
            schedulers.leave(name)
