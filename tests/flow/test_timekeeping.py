"""Beats and workers go by the clock of the database server (ADR 0143, X-9, I15)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.test.utils import CaptureQueriesContext

from sentinel_project import clock, timekeeping
from sentinel_project.beat import Scheduler

HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=5)
on_postgres = pytest.mark.usefixtures("postgres")


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_agreed", None)


def put_wall(monkeypatch: pytest.MonkeyPatch, ahead: timedelta) -> None:
    """Have the host's wall clock run ``ahead``."""
    right = clock.wall
    monkeypatch.setattr(clock, "wall", lambda: right() + ahead)


def server_time() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (time,) = cursor.fetchone()
    assert isinstance(time, datetime)
    return time


@on_postgres
@pytest.mark.postgres
@pytest.mark.parametrize("ahead", [HOUR, -HOUR])
def test_a_host_with_a_wrong_clock_goes_by_the_servers(
    monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    put_wall(monkeypatch, ahead)
    assert abs(clock.now() - server_time()) > HOUR / 2

    timekeeping.agree()

    assert abs(clock.now() - server_time()) < MOMENT
    assert not timekeeping.is_backed_by_host(clock.now())


@on_postgres
@pytest.mark.postgres
def test_who_has_just_agreed_does_not_ask_again() -> None:
    timekeeping.agree()

    with CaptureQueriesContext(connection) as asked:
        timekeeping.agree()

    assert len(asked) == 0


def test_a_file_has_no_clock_of_its_own(db: None) -> None:
    if connection.vendor != "sqlite":
        pytest.skip("the run is on a server")

    timekeeping.agree()

    assert clock.agreed_for() is None
    assert not timekeeping.is_backed_by_host(clock.now())


@on_postgres
@pytest.mark.postgres
@pytest.mark.parametrize("ahead", [timedelta(0), -HOUR])
def test_a_jump_of_the_server_is_believed_if_the_host_made_it_too(
    monkeypatch: pytest.MonkeyPatch, ahead: timedelta
) -> None:
    """X-9. The beat knew of a time that was an hour ago."""
    put_wall(monkeypatch, ahead)
    beat = Scheduler.__new__(Scheduler)
    beat._steadiness = None
    assert beat._is_steady(server_time() - HOUR)

    assert beat._is_steady(server_time()) == (ahead == timedelta(0))


@on_postgres
@pytest.mark.postgres
def test_a_time_that_the_server_has_left_again_is_not_believed() -> None:
    """X-9: what was agreed on is up to five seconds old when the server's clock is put right."""
    beat = Scheduler.__new__(Scheduler)
    beat._steadiness = None
    assert beat._is_steady(server_time())
    clock.agree(server_time() + timedelta(days=365), at=clock.since_boot())

    assert not beat._is_steady(clock.now())


@on_postgres
@pytest.mark.postgres
def test_a_database_that_does_not_answer_costs_the_work_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    timekeeping.agree()
    monkeypatch.setattr(clock, "agreed_for", lambda: 60.0)
    before = clock.now()

    with connection.execute_wrapper(_broken):
        timekeeping.keep_agreeing()

    assert timedelta(0) <= clock.now() - before < MOMENT


def _broken(*_: object) -> None:
    raise OperationalError("gone")
