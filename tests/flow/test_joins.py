"""Ends that meet at a join: it is looked at once for all of them (ADR 0146)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import App, Job, ScheduleExpression, new_revision
from jobs.rules.enums import JobStatus
from jobs.services import set_status
from tasks_app import planner
from tasks_app.models import Event, Task
from tasks_app.planner import events
from tasks_app.planner.events import JOBS_AT_ONCE
from tasks_app.rules.states import Finder, TaskStatus
from tests.builders import make_app
from tests.engine import ANN, after, begin, claim, end, run, status_of, task_of, tick
from tests.flow.races import DUE, scheduled
from tests.flow.test_database_faults import RefusingRow

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("spelled_statements")]

S = TaskStatus
DAY = timedelta(days=1)
WIDTH = 12

#: A join that is due by its own schedule, and one whose runs its upstreams name.
joins = pytest.mark.parametrize("words", [{}, {"schedule": ()}], ids=["timed", "named"])


@pytest.fixture
def app(db: None) -> App:
    return make_app(kind="ADMIN")


def join(app: App, upstreams: Sequence[Job], **words: Any) -> Job:
    return scheduled(app, dependencies=tuple(map(after, upstreams)), **words)


def process() -> int:
    return planner.process_events(by=Finder.TRIGGER, now=DUE)


def end_all(jobs: Sequence[Job]) -> None:
    for job in jobs:
        run(task_of(job, DUE), now=DUE)


@joins
def test_many_ends_cost_a_join_no_more_statements_than_one(app: App, words: Any) -> None:
    def statements(ends: int) -> int:
        first, *others = [scheduled(app) for _ in range(WIDTH)]
        job = join(app, [first, *others], **words)
        tick(DUE)
        end_all(others[:ends])
        with CaptureQueriesContext(connection) as asked:
            assert process() == ends
        assert status_of(task_of(job, DUE)) is S.WAITING
        return len(asked)

    assert statements(WIDTH - 1) <= statements(1)


@joins
def test_the_ends_of_all_upstreams_release_a_join_together(app: App, words: Any) -> None:
    """D-37; it says which of them was the last."""
    upstreams = [scheduled(app) for _ in range(WIDTH)]
    job = join(app, upstreams, **words)
    tick(DUE)
    end_all(upstreams)

    assert process() == WIDTH

    task = task_of(job, DUE)
    last = task_of(upstreams[-1], DUE)
    assert (S(task.status), task.released_by) == (
        S.READY,
        f"the end of task {last.pk} of job {last.job_id}",
    )
    assert not Event.objects.filter(processed_at=None).exists()


def test_runs_of_several_due_times_that_end_together_release_each_its_own(app: App) -> None:
    """D-34: of each waiting run only the ends in its window count."""
    upstreams = [scheduled(app) for _ in range(2)]
    job = join(app, upstreams, schedule=())
    days = [DUE, DUE + DAY]
    tick(days[0])
    begun = [begin(task_of(upstream, days[0]), now=days[0]) for upstream in upstreams]
    tick(days[1])
    for attempt in (*begun, begin(task_of(upstreams[0], days[1]), now=days[1])):
        end(attempt, now=days[1])

    planner.process_events(by=Finder.TRIGGER, now=days[1])

    assert [status_of(task_of(job, day)) for day in days] == [S.READY, S.WAITING]


def test_ends_that_share_some_dependents_let_each_of_them_go(app: App) -> None:
    """X-8: an event is done when all of its dependents were looked at, in however many parts."""
    first, other = scheduled(app), scheduled(app)
    early = scheduled(app, dependencies=(after(other),))
    many = [scheduled(app, dependencies=(after(first),)) for _ in range(JOBS_AT_ONCE + 1)]
    shared = join(app, [first, other])
    tick(DUE)
    end_all([first, other])

    assert process() == 2

    waited = Task.objects.filter(job__in=[early, *many, shared])
    assert set(waited.values_list("status", flat=True)) == {S.READY}


def test_a_dependent_that_fails_holds_up_only_the_ends_it_waits_for(app: App) -> None:
    """X-8: the others are carried, though they share a dependent with it."""
    first, other = scheduled(app), scheduled(app)
    poison = scheduled(app, dependencies=(after(first),))
    shared = join(app, [first, other])
    tick(DUE)
    end_all([first, other])

    with connection.execute_wrapper(RefusingRow("tasks_app_task", task_of(poison, DUE).pk)):
        process()

    left = Event.objects.filter(processed_at=None)
    assert list(left.values_list("job", "faults")) == [(first.pk, 1)]
    assert status_of(task_of(shared, DUE)) is S.READY
    assert status_of(task_of(poison, DUE)) is S.WAITING


def test_an_end_is_for_its_own_next_run_as_well(app: App) -> None:
    """D-40: a serial upstream's next run waits for the end that its dependent waits for."""
    serial = scheduled(app, is_serial=True)
    other = scheduled(app)
    job = join(app, [serial, other], expire_after=2 * DAY)
    tick(DUE)
    begun = [begin(task_of(upstream, DUE), now=DUE) for upstream in (serial, other)]
    tick(DUE + DAY)
    following = task_of(serial, DUE + DAY)
    assert status_of(following) is S.WAITING
    for attempt in begun:
        end(attempt, now=DUE + DAY)

    planner.process_events(by=Finder.TRIGGER, now=DUE + DAY)

    assert status_of(following) is S.READY
    assert status_of(task_of(job, DUE)) is S.READY


MOMENT = timedelta(milliseconds=1)


def test_what_came_behind_the_instant_of_a_pass_is_judged_by_its_own(app: App) -> None:
    """X-8: the clock of a worker's pass is read before beat leaves the event that it finds."""
    over = DUE + timedelta(minutes=5)
    upstream = scheduled(app, active_until=over)
    waiting = join(app, [upstream])
    never = {"text": "0 0 1 9 9 ?", "next_due_at": None}
    ScheduleExpression.objects.filter(job=upstream).update(**never)
    Job.objects.filter(pk=upstream.pk).update(revision=new_revision())
    tick(DUE)
    assert status_of(task_of(waiting, DUE)) is S.WAITING
    assert planner.note_ended_windows(now=over) == 1

    planner.process_events(by=Finder.TRIGGER, now=over - MOMENT)

    assert status_of(task_of(waiting, DUE)) is S.READY


def test_an_end_names_a_run_of_a_job_that_was_paused_before_it_was_carried(app: App) -> None:
    """D-36, D-56: what ended before the pause is not left to the resume, which asks for later."""
    upstream = scheduled(app)
    named = scheduled(app, schedule=(), dependencies=(after(upstream),))
    tick(DUE)
    run(task_of(upstream, DUE), now=DUE)
    set_status(named.pk, JobStatus.PAUSED, app=app, user=ANN, now=DUE + MOMENT)

    tick(DUE + MOMENT)
    assert claim(task_of(named, DUE), now=DUE + MOMENT) is None
    set_status(named.pk, JobStatus.ACTIVE, app=app, user=ANN, now=DUE + 2 * MOMENT)
    tick(DUE + 2 * MOMENT)

    assert claim(task_of(named, DUE), now=DUE + 2 * MOMENT) is not None


def test_an_end_that_steps_aside_between_two_parts_is_not_marked_by_the_second(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """X-8: another pass may have it step aside, and a third take that back."""
    monkeypatch.setattr(events, "JOBS_AT_ONCE", 1)
    upstream = scheduled(app)
    dependents = [join(app, [upstream]) for _ in range(2)]
    tick(DUE)
    run(task_of(upstream, DUE), now=DUE)
    aside = iter([DUE + timedelta(seconds=1), None])

    def step_aside(execute: Callable[..., object], sql: str, *rest: object) -> object:
        if sql.startswith("SELECT") and '"tasks_app_event"."id" IN' in sql:
            Event.objects.filter(processed_at=None).update(not_before=next(aside, None))
        return execute(sql, *rest)

    with connection.execute_wrapper(step_aside):
        process()
    tick(DUE + timedelta(minutes=1))

    assert {status_of(task_of(job, DUE)) for job in dependents} == {S.READY}
