"""Wrong engines: each has one function of the product written wrong, and a race must notice.

The races are held still at the moment that matters, so that a wrong engine fails at once and not
one round in a thousand. The right engine goes through the same races first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models.functions import Now

from jobs.models import App, Job
from sentinel_project import clock
from sentinel_project.chained import Step
from tasks_app import planner, rescuer, transitions
from tasks_app.models import Attempt, Event, Task
from tasks_app.planner import events
from tasks_app.rescuer import Rescuer
from tasks_app.rules.states import LIVE, Finder, TaskStatus
from tasks_app.rules.timing import Lease
from tasks_app.transitions import Opening, moves
from tests.engine import after, begin, cron, end, status_of, submit, task_of, tick
from tests.flow.races import DUE, a_name, finish, meanwhile, scheduled

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("postgres")]

S = TaskStatus
SECOND = timedelta(seconds=1)

Race = Callable[[App], list[str]]
Mutant = Callable[[pytest.MonkeyPatch], None]


# -- races: each returns what went wrong -----------------------------------------------------------


def a_slot_is_opened_by_two(app: App) -> list[str]:
    """X-2: a second scheduler comes while the first has not committed."""
    job = scheduled(app)
    openings = [Opening(job=job, due_at=DUE, status=S.READY)]

    def open_it() -> None:
        transitions.open_tasks(openings, now=DUE)

    meanwhile(open_it, open_it)
    count = Task.objects.filter(job=job).count()
    return [] if count == 1 else [f"the slot has {count} tasks"]


def an_upstream_ends_and_its_worker_dies(app: App) -> list[str]:
    """X-7: the worker is gone as soon as its commit is through; beat's next pass carries on."""
    upstream = scheduled(app)
    dependent = scheduled(app, dependencies=(after(upstream),))
    tick(DUE)
    attempt = begin(task_of(upstream, DUE), now=DUE)

    with suppress(WorkerDied), transaction.atomic():
        transaction.on_commit(die)
        end(attempt, now=DUE)
    assert status_of(attempt.task) is S.SUCCESS
    tick(DUE)

    status = status_of(task_of(dependent, DUE))
    return [] if status is S.READY else [f"the dependent is {status.name} and nobody will look"]


class WorkerDied(Exception):
    """The process ended here."""


def die() -> None:
    raise WorkerDied


def an_upstream_ends_while_its_dependent_opens(app: App) -> list[str]:
    """X-8: the opener has looked at the upstream and has not committed yet."""
    upstream = scheduled(app)
    tick(DUE)
    attempt = begin(task_of(upstream, DUE), now=DUE)
    on_time = (cron("0 0 1 * * ?"),)
    dependent = submit(app, a_name(), now=DUE, schedule=on_time, dependencies=(after(upstream),))
    planner.process_events(by=Finder.BEAT, now=DUE)

    meanwhile(partial(finish, attempt), partial(planner.open_due, now=DUE))
    tick(DUE)

    status = status_of(task_of(dependent, DUE))
    return [] if status is S.READY else [f"the dependent is {status.name} and nobody will look"]


def workers_lose_the_database(app: App) -> list[str]:
    """I9: nobody takes an attempt whose worker may still run it; in the end somebody does."""
    return [trouble for reachable in range(0, 24, 4) for trouble in _one_lost(app, reachable)]


def _one_lost(app: App, reachable: int) -> Iterator[str]:
    """Let a worker beat for so many seconds, and the rescuer look at every second.

    The database's clock cannot be turned, so the end of the lease comes nearer instead.
    """
    lease = Lease()
    job = scheduled(app)
    tick(DUE)
    attempt = begin(task_of(job, DUE), now=DUE)
    heard = 0
    for second in range(90):
        if second <= reachable and second % lease.heartbeat.seconds == 0:
            heard = second
        left = heard * SECOND + lease.length - second * SECOND
        Attempt.objects.filter(pk=attempt.pk, status__in=LIVE).update(lease_until=Now() + left)
        rescuer.rescue_overdue(lease.grace, now=DUE + second * SECOND)
        if status_of(attempt.task) is not S.RUNNING:
            if (second - heard) * SECOND <= lease.gives_up_after:
                yield f"taken {second - heard} s after its worker was heard"
            return
    yield "it was never taken"


def beat_returns_with_the_database(app: App) -> list[str]:
    """3-execution.md 3: after an outage every lease is over, and no worker had a chance to beat."""
    job = scheduled(app)
    tick(DUE)
    attempt = begin(task_of(job, DUE), now=DUE)
    Attempt.objects.filter(pk=attempt.pk).update(lease_until=clock.now() - timedelta(hours=1))

    Rescuer().run_once(now=clock.now())

    status = status_of(attempt.task)
    return [] if status is S.RUNNING else ["taken before its worker could be heard"]


# -- mutants: each is one function written wrong ---------------------------------------------------


def check_before_insert(patch: pytest.MonkeyPatch) -> None:
    """Look whether the slot has its task, and trust the answer instead of a constraint."""

    def open_tasks(openings: Iterable[Opening], *, now: datetime) -> None:
        for o in openings:
            if not Task.objects.filter(job=o.job, due_at=o.due_at, kind=o.kind.value).exists():
                transitions.open_task(o, now=now)

    patch.setattr(transitions, "open_tasks", open_tasks)


def event_after_commit(patch: pytest.MonkeyPatch) -> None:
    """Tell of the end once it is committed, as one would call a dependency trigger."""

    steps_of = moves.ending

    def ending(task: Task, *words: Any, **more: Any) -> list[Step]:
        moved, _ = steps_of(task, *words, **more)
        event = {"job_id": task.job_id, "task_id": task.pk, "created_at": words[-1]}
        transaction.on_commit(lambda: Event.objects.create(**event))
        return [moved]

    patch.setattr(moves, "ending", ending)


def no_child_lock(patch: pytest.MonkeyPatch) -> None:
    """Look at the dependents as they are committed, without their locks."""

    def unlocked(job_ids: Sequence[int]) -> list[Job]:
        return list(Job.objects.filter(pk__in=job_ids).order_by("pk"))

    patch.setattr(events, "_locked", unlocked)


def eager_rescue(patch: pytest.MonkeyPatch) -> None:
    """Take what has missed three beats, instead of what nobody can hold any more."""
    take = rescuer.rescue_overdue
    lease = Lease()
    too_early = lease.length - 3 * lease.heartbeat
    patch.setattr(rescuer, "rescue_overdue", lambda grace, *, now: take(grace - too_early, now=now))


def no_warm_up(patch: pytest.MonkeyPatch) -> None:
    """Take over at once, whatever was just wrong with the database."""

    def run_once(self: Rescuer, *, now: datetime) -> int:
        return rescuer.rescue_overdue(Lease().grace, now=now)

    patch.setattr(Rescuer, "run_once", run_once)


RACES: list[tuple[Race, Mutant]] = [
    (a_slot_is_opened_by_two, check_before_insert),
    (an_upstream_ends_and_its_worker_dies, event_after_commit),
    (an_upstream_ends_while_its_dependent_opens, no_child_lock),
    (workers_lose_the_database, eager_rescue),
    (beat_returns_with_the_database, no_warm_up),
]


@pytest.fixture
def no_slot_constraint() -> Iterator[None]:
    """A database without its constraint on slots, as an engine that checks first would have it."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT indexdef FROM pg_indexes WHERE indexname = 'task_one_per_slot'")
        (definition,) = cursor.fetchone()
        cursor.execute("DROP INDEX task_one_per_slot")
    yield
    Task.objects.all().delete()
    with connection.cursor() as cursor:
        cursor.execute(definition)


@pytest.mark.parametrize("race", [race for race, _ in RACES], ids=lambda race: race.__name__)
def test_the_engine_comes_through(race: Race, app: App) -> None:
    assert race(app) == []


@pytest.mark.parametrize(("race", "mutant"), RACES, ids=[mutant.__name__ for _, mutant in RACES])
def test_a_wrong_engine_is_noticed(
    race: Race, mutant: Mutant, app: App, request: pytest.FixtureRequest
) -> None:
    if mutant is check_before_insert:
        request.getfixturevalue("no_slot_constraint")
    mutant(request.getfixturevalue("monkeypatch"))

    assert race(app) != []
