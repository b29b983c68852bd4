"""Whoever holds a job holds up its own events only, and a large rerun holds no job for long."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from jobs.models import App, Job
from tasks_app import planner, services
from tasks_app.models import Event, Task
from tasks_app.planner.release import TASKS_AT_ONCE
from tasks_app.rules.states import Finder, Reason, TaskStatus
from tests.builders import make_app
from tests.engine import ANN, after, begin, cron, end, status_of, submit, task_of, tick
from tests.flow.races import DUE, START, a_name, held, scheduled

S = TaskStatus
SECOND = timedelta(seconds=1)
#: A day after the runs that are to be run again.
LATER = START + timedelta(days=1)
#: More than are looked at in one transaction.
MANY = TASKS_AT_ONCE + 50


def process(now: datetime) -> None:
    planner.process_events(by=Finder.TRIGGER, now=now, clock=lambda: now + 5 * SECOND)


# -- events (PostgreSQL) ---------------------------------------------------------------------------


@pytest.mark.postgres
def test_an_event_of_a_job_that_is_held_steps_aside_and_stops_no_other(app: App) -> None:
    """X-8: for a second by the clock, and not by when the pass began; it is nobody's fault."""
    upstreams = [scheduled(app) for _ in range(4)]
    waiting = [scheduled(app, dependencies=(after(upstream),)) for upstream in upstreams]
    tick(DUE)
    for upstream in upstreams:
        end(begin(task_of(upstream, DUE), now=DUE), now=DUE)

    names = ", ".join(str(job.pk) for job in waiting[:3])
    with (
        held(f"SELECT id FROM jobs_job WHERE id IN ({names}) FOR NO KEY UPDATE"),
        CaptureQueriesContext(connection) as asked,
    ):
        process(DUE)

    assert [status_of(task_of(job, DUE)) for job in waiting] == [*[S.WAITING] * 3, S.READY]
    left = Event.objects.filter(processed_at=None)
    assert set(left.values_list("job", "not_before", "faults")) == {
        (upstream.pk, DUE + 6 * SECOND, 0) for upstream in upstreams[:3]
    }
    waits = [query for query in asked.captured_queries if "lock_timeout" in query["sql"]]
    assert len(waits) == 1, "a pass waits for a lock once, and not for each event"

    process(DUE + 6 * SECOND)
    assert {status_of(task_of(job, DUE)) for job in waiting} == {S.READY}


@pytest.mark.postgres
def test_a_rerun_looks_at_its_tasks_once_it_is_committed(app: App) -> None:
    """D-51: what it does while it holds the jobs does not grow with the tasks."""
    job = minutely(app)

    with transaction.atomic(), CaptureQueriesContext(connection) as asked:
        reran = rerun_many(job, app)

    assert len(asked) < 60
    batch = Task.objects.filter(pk__in=reran.task_ids, job=job)
    assert set(batch.values_list("status", "reason")) == {
        (S.WAITING, Reason.UPSTREAM_NOT_DONE.value)
    }
    assert not Event.objects.filter(job=job, processed_at=None, not_before__isnull=False).exists()


# -- reruns ----------------------------------------------------------------------------------------


def minutely(app: App) -> Job:
    """Submit a job of each minute that waits for another one of each minute."""
    each_minute = (cron("0 * * * * ?"),)
    upstream = submit(app, a_name(), now=LATER, schedule=each_minute)
    edges = (after(upstream, "cm"),)
    return submit(app, a_name(), now=LATER, schedule=each_minute, dependencies=edges)


def rerun_many(job: Job, app: App) -> services.Reran:
    upstream_id = job.dependencies.get().upstream_id
    span = START, START + timedelta(minutes=MANY - 1)
    return services.rerun([upstream_id, job.pk], *span, app=app, user=ANN, now=LATER)


@pytest.mark.django_db
def test_a_rerun_whose_caller_died_is_looked_at_by_others() -> None:
    """X-8: all of it, however many transactions that takes; here no commit has its callbacks."""
    app = make_app(kind="ADMIN")
    job = minutely(app)
    planner.process_events(by=Finder.BEAT, now=LATER)
    reran = rerun_many(job, app)
    batch = Task.objects.filter(pk__in=reran.task_ids, job=job)

    planner.process_events(by=Finder.BEAT, now=LATER + 59 * SECOND)
    before = set(batch.values_list("reason", flat=True))
    planner.process_events(by=Finder.BEAT, now=LATER + 60 * SECOND)

    assert (len(batch), before) == (MANY, {""})
    assert set(batch.values_list("reason", flat=True)) == {Reason.UPSTREAM_NOT_DONE.value}
    assert not Event.objects.filter(processed_at=None).exists()
