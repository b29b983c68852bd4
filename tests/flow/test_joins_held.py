"""Passes that meet at a join: the one that carries it takes what the others find (ADR 0146)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import App
from tasks_app import planner
from tasks_app.models import Event
from tasks_app.rules.states import Finder, TaskStatus
from tests.engine import after, begin, end, status_of, task_of, tick
from tests.flow.races import DUE, closing, finish, held, scheduled, wait_until_stuck_or_done

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.usefixtures("verified_postgres", "spelled_statements"),
]

S = TaskStatus
process = partial(planner.process_events, by=Finder.TRIGGER, now=DUE)


def test_an_end_that_finds_its_join_carried_is_left_to_the_carrier(app: App) -> None:
    """X-8: nobody waits, nothing steps aside, and the carrier releases the join."""
    upstreams = [scheduled(app) for _ in range(2)]
    join = scheduled(app, dependencies=tuple(map(after, upstreams)))
    tick(DUE)
    first, last = (begin(task_of(upstream, DUE), now=DUE) for upstream in upstreams)
    waiting = task_of(join, DUE)

    with ThreadPoolExecutor(1) as pool:
        end(first, now=DUE)
        with held(f"SELECT id FROM tasks_app_task WHERE id = {waiting.pk} FOR UPDATE"):
            carrier = pool.submit(closing, process)
            wait_until_stuck_or_done(carrier)
            assert not carrier.done(), "it is to write what the join waits for"

            finish(last)

            left = Event.objects.filter(processed_at=None)
            assert set(left.values_list("task", "not_before")) == {
                (first.task_id, None),
                (last.task_id, None),
            }
        assert carrier.result(timeout=30) == 2

    assert status_of(waiting) is S.READY
    assert not Event.objects.filter(processed_at=None).exists()


def test_an_end_that_comes_while_the_carrier_waits_is_taken_in(app: App) -> None:
    """One look at the join for both: the list is read again under its lock."""
    upstreams = [scheduled(app) for _ in range(2)]
    join = scheduled(app, dependencies=tuple(map(after, upstreams)))
    tick(DUE)
    first, last = (begin(task_of(upstream, DUE), now=DUE) for upstream in upstreams)
    end(first, now=DUE)

    def carry() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as asked:
            processed = process()
        marks = [q for q in asked.captured_queries if 'UPDATE "tasks_app_event"' in q["sql"]]
        return processed, len(marks)

    with ThreadPoolExecutor(1) as pool:
        with held(f"SELECT id FROM jobs_job WHERE id = {join.pk} FOR NO KEY UPDATE"):
            carrier = pool.submit(closing, carry)
            wait_until_stuck_or_done(carrier)
            assert not carrier.done(), "it waits for who holds the join"
            finish(last)
        assert carrier.result(timeout=30) == (2, 1)

    assert status_of(task_of(join, DUE)) is S.READY


def test_an_end_is_marked_when_the_last_of_its_dependents_was_looked_at(app: App) -> None:
    """X-8: what it shares with another end does not do for it."""
    first, other = scheduled(app), scheduled(app)
    shared = scheduled(app, dependencies=(after(first), after(other)))
    many = [scheduled(app, dependencies=(after(first),)) for _ in range(60)]
    tick(DUE)
    for upstream in (first, other):
        end(begin(task_of(upstream, DUE), now=DUE), now=DUE)

    with held(f"SELECT id FROM jobs_job WHERE id = {many[-1].pk} FOR NO KEY UPDATE"):
        process()
        left = Event.objects.filter(processed_at=None, task__isnull=False)
        assert list(left.values_list("job", flat=True)) == [first.pk]
        assert status_of(task_of(shared, DUE)) is S.READY
        assert status_of(task_of(many[-1], DUE)) is S.WAITING

    planner.process_events(by=Finder.BEAT, now=left.get().not_before or DUE)
    assert {status_of(task_of(job, DUE)) for job in many} == {S.READY}


def test_a_job_that_is_held_holds_up_no_end_but_those_that_concern_it(app: App) -> None:
    """X-8: an edit takes its time, and whoever shares an upstream with that job goes on."""
    first, second = scheduled(app), scheduled(app)
    edited = scheduled(app, dependencies=(after(first),))
    other = scheduled(app, dependencies=(after(second),))
    join = scheduled(app, dependencies=(after(first), after(second)))
    tick(DUE)
    for upstream in (first, second):
        end(begin(task_of(upstream, DUE), now=DUE), now=DUE)

    with held(f"SELECT id FROM jobs_job WHERE id = {edited.pk} FOR NO KEY UPDATE"):
        planner.process_events(by=Finder.TRIGGER, now=DUE)

        assert status_of(task_of(other, DUE)) is S.READY
        assert status_of(task_of(join, DUE)) is S.READY
    planner.process_events(by=Finder.BEAT, now=DUE + timedelta(seconds=1))
    assert status_of(task_of(edited, DUE)) is S.READY
