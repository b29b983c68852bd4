"""What the database refuses once is tried again, and no job or event is blamed for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import OperationalError, connection

from jobs.models import App, Job, ScheduleExpression, new_revision
from jobs.rules.enums import ExpressionKind
from tasks_app import planner
from tasks_app.models import Event, Task
from tasks_app.rules.states import Finder, TaskStatus
from tests.builders import make_app
from tests.engine import after, at, begin, cron, end, status_of, submit, task_of, tick

pytestmark = pytest.mark.django_db

START, DUE = at("2 00:00"), at("2 01:00")
DAILY = (cron("0 0 1 * * ?"),)


@pytest.fixture
def app(db: None) -> App:
    return make_app(kind="ADMIN")


class Refusing:
    """Refuses the first ``times`` statements of a kind, as a deadlock does."""

    def __init__(self, verb: str, table: str, times: int) -> None:
        self.verb, self.table, self.left = verb, f'"{table}"', times

    def __call__(self, execute: Callable[..., object], sql: str, *rest: Any) -> object:
        if self.left and sql.startswith(self.verb) and self.table in sql:
            self.left -= 1
            raise OperationalError("deadlock detected")
        return execute(sql, *rest)


def test_a_slot_that_the_database_refused_is_opened_at_the_next_tick(app: App) -> None:
    """X-9: an expression is set aside for its own faults only."""
    job = submit(app, "job", now=START, schedule=DAILY)
    refusing = Refusing("INSERT", "tasks_app_task", times=2)

    with connection.execute_wrapper(refusing), pytest.raises(OperationalError):
        tick(DUE)

    assert refusing.left == 0
    expression = ScheduleExpression.objects.get(job=job)
    assert (expression.next_due_at, expression.fault) == (DUE, "")
    tick(DUE)
    assert status_of(task_of(job, DUE)) is TaskStatus.READY


def test_an_expression_that_cannot_be_read_is_set_aside_and_stops_no_other(app: App) -> None:
    """X-9."""
    poison, healthy = (submit(app, name, now=START, schedule=DAILY) for name in ("bad", "good"))
    rows = ScheduleExpression.objects.filter(job=poison)
    rows.update(text="d(0)", kind=ExpressionKind.RATE)
    Job.objects.filter(pk=poison.pk).update(revision=new_revision())

    tick(DUE)

    assert status_of(task_of(healthy, DUE)) is TaskStatus.READY
    assert not Task.objects.filter(job=poison).exists()
    assert "whole number" in ScheduleExpression.objects.get(job=poison).fault


@pytest.mark.parametrize("times", [1, 2])
def test_an_event_that_the_database_refused_is_carried_on_at_once(app: App, times: int) -> None:
    """X-8: a dependent does not wait half a minute for what was nobody's fault."""
    upstream = submit(app, "upstream", now=START, schedule=DAILY)
    job = submit(app, "job", now=START, schedule=DAILY, dependencies=(after(upstream),))
    tick(DUE)
    end(begin(task_of(upstream, DUE), now=DUE), now=DUE)

    refusing = Refusing("UPDATE", "tasks_app_event", times)
    with connection.execute_wrapper(refusing):
        planner.process_events(by=Finder.TRIGGER, now=DUE)

    assert refusing.left == 0
    assert status_of(task_of(job, DUE)) is TaskStatus.READY
    assert not Event.objects.filter(faults__gt=0).exists()


def test_an_event_that_fails_again_and_again_steps_aside(app: App) -> None:
    """X-8: and is tried again later."""
    event = Event.objects.create(job=submit(app, "other", now=START), created_at=START)

    with connection.execute_wrapper(Refusing("UPDATE", "tasks_app_event", times=3)):
        planner.process_events(by=Finder.TRIGGER, now=DUE)

    event.refresh_from_db()
    assert (event.faults, event.processed_at) == (1, None)
    planner.process_events(by=Finder.BEAT, now=at("2 01:01"))
    event.refresh_from_db()
    assert event.processed_at is not None
