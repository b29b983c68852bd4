"""Races held still: one transaction is open while another wants the same rows (PostgreSQL)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar

import pytest
from django.db import connection, connections, transaction

from jobs.models import App
from sentinel_project import clock
from sentinel_project.errors import SentinelError
from tasks_app import services, transitions
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import FINAL, LIVE, AttemptStatus, TaskStatus
from tasks_app.transitions import Ending
from tests.engine import ANN, begin, claim, end, in_threads, status_of, task_of, tick
from tests.flow.races import DUE, ROUNDS, scheduled

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("postgres")]

S = TaskStatus
R = TypeVar("R")


def meanwhile(work: Callable[[], R], held: Callable[[], object]) -> R:
    """Do ``held``; before it commits start ``work`` elsewhere and let it go as far as it can."""
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            held()
            future = pool.submit(_closing, work)
            _wait_until_stuck_or_done(future)
        return future.result(timeout=30)


def _closing(work: Callable[[], R]) -> R:
    try:
        return work()
    finally:
        connections.close_all()


def _wait_until_stuck_or_done(future: Future[Any]) -> None:
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


def started(app: App, **words: Any) -> tuple[Task, Attempt]:
    job = scheduled(app, **words)
    tick(DUE)
    task = task_of(job, DUE)
    return task, begin(task, now=DUE)


def failure(attempt: Attempt) -> Callable[[], object]:
    return partial(transitions.settle, attempt, Ending(status=AttemptStatus.FAILED), now=DUE)


def one_killed(task: Task, app: App) -> bool:
    (answer,) = services.kill_tasks([task.pk], app=app, user=ANN, now=DUE)
    return answer.accepted


def one_removed(task: Task, app: App) -> bool:
    (answer,) = services.remove_tasks([task.pk], app=app, user=ANN, now=DUE)
    return answer.accepted


@pytest.mark.parametrize(
    ("verb", "status"),
    [
        pytest.param(one_killed, S.KILLED, id="kill"),
        pytest.param(one_removed, S.REMOVED, id="remove"),
    ],
)
def test_a_kill_is_not_lost_in_the_moment_of_a_retry(
    app: App, verb: Callable[[Task, App], bool], status: TaskStatus
) -> None:
    """D-53, D-54, I12: RUNNING a moment ago, READY now, and in both to be had."""
    task, attempt = started(app, max_retries=3, retry_interval=timedelta(minutes=1))

    is_accepted = meanwhile(partial(verb, task, app), failure(attempt))

    assert is_accepted
    assert status_of(task) is status


def test_a_force_in_the_moment_of_a_claim_leaves_no_attempt_open(app: App) -> None:
    """D-52, I2: a live attempt if and only if the task is RUNNING."""
    job = scheduled(app)
    tick(DUE)
    task = task_of(job, DUE)
    force = partial(
        services.force_status, task.pk, S.SUCCESS, app=app, user=ANN, reason="", now=DUE
    )

    meanwhile(force, lambda: claim(task, now=DUE))

    assert status_of(task) is S.SUCCESS
    assert not Attempt.objects.filter(task=task, status__in=LIVE).exists()


def test_a_kill_in_the_moment_of_a_claim_is_requested(app: App) -> None:
    """D-53."""
    job = scheduled(app)
    tick(DUE)
    task = task_of(job, DUE)

    assert meanwhile(partial(one_killed, task, app), lambda: claim(task, now=DUE))

    task.refresh_from_db()
    assert (S(task.status), task.kill_requested_at is not None) == (S.RUNNING, True)


def test_success_and_force_in_one_moment_leave_what_was_first(app: App) -> None:
    """3-execution.md 4, I5: a committed success stays."""
    task, attempt = started(app)

    def force() -> str:
        try:
            services.force_status(task.pk, S.FAILED, app=app, user=ANN, reason="", now=DUE)
        except SentinelError as refusal:
            return str(refusal)
        return ""

    refusal = meanwhile(force, lambda: end(attempt, now=DUE))

    assert refusal
    assert status_of(task) is S.SUCCESS


def test_a_storm_of_verbs_leaves_every_task_whole(app: App) -> None:
    """I2, I3: kill, retry, remove, force, claim and ends at once, on the same few tasks."""
    for _ in range(ROUNDS):
        task, attempt = started(app, max_retries=1, retry_interval=timedelta(0))
        words: dict[str, Any] = {"app": app, "user": ANN, "now": DUE}

        in_threads(
            partial(services.kill_tasks, [task.pk], **words),
            partial(services.remove_tasks, [task.pk], **words),
            partial(services.retry_tasks, [task.pk], **words),
            failure(attempt),
            partial(claim, task, now=DUE),
        )

        task.refresh_from_db()
        live = Attempt.objects.filter(task=task, status__in=LIVE).count()
        assert live == (task.status == S.RUNNING)
        assert (task.ended_at is not None) is (task.status in FINAL)
        fences = (
            Attempt.objects.filter(task=task).order_by("number").values_list("fence", flat=True)
        )
        assert list(fences) == sorted(set(fences))
