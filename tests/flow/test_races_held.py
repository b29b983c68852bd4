"""Races held still: one transaction is open while another wants the same rows (PostgreSQL)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from jobs.app_services import close_app
from jobs.models import App, Job
from jobs.rules.enums import CommonStrategy, JobStatus
from jobs.services import restore_job, set_status
from sentinel_project.errors import InvalidParameters, SentinelError
from tasks_app import services, transitions
from tasks_app.models import Attempt, Event, Task
from tasks_app.rules.states import FINAL, LIVE, AttemptStatus, TaskStatus
from tasks_app.transitions import Ending
from tests.engine import (
    ANN,
    after,
    begin,
    claim,
    cron,
    end,
    in_threads,
    status_of,
    submit,
    task_of,
    tick,
)
from tests.flow.races import DUE, ROUNDS, START, a_name, finish, meanwhile, scheduled

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("verified_postgres")]

S = TaskStatus


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


def test_a_run_that_ends_is_named_once_more_and_neither_is_undone(app: App) -> None:
    """X-8: the namer has the job's lock and waits for the end, which must not wait for the job."""
    upstream = scheduled(app, schedule=(cron("0 15,45 0 * * ?"),))
    any_run = (after(upstream, strategy=CommonStrategy.ANYONE),)
    named = scheduled(app, schedule=(), dependencies=any_run)
    tick(DUE)
    first, second = Task.objects.filter(job=upstream).order_by("due_at")
    finish(begin(first, now=DUE))
    task = Task.objects.get(job=named)
    ending = begin(task, now=DUE)

    meanwhile(partial(finish, begin(second, now=DUE)), partial(end, ending, now=DUE))

    assert status_of(task) is S.SUCCESS
    assert not Event.objects.filter(faults__gt=0).exists()


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


def is_refused(work: Callable[[], object]) -> bool:
    try:
        work()
    except SentinelError:
        return True
    return False


@pytest.mark.parametrize("is_submitted_first", [True, False])
def test_no_app_is_deleted_under_a_submission(app: App, is_submitted_first: bool) -> None:
    """D-80: a job whose app is gone would run for nobody."""
    store = partial(scheduled, app)
    close = partial(close_app, app, by=None, user=ANN, now=START)
    works = (close, store) if is_submitted_first else (store, close)

    assert meanwhile(partial(is_refused, works[0]), works[1])

    app.refresh_from_db()
    assert (app.closed_at is None) is is_submitted_first
    assert Job.objects.filter(app=app).exists() is is_submitted_first


def test_of_two_submissions_of_one_name_the_later_is_told_so(app: App) -> None:
    """Nothing was there to be seen when the later one looked for the name."""
    name = a_name()
    works = [partial(submit, app, name, now=START) for _ in range(2)]

    with pytest.raises(InvalidParameters, match=f"jobName: the app has a job named '{name}'"):
        meanwhile(*works)

    assert Job.objects.filter(app=app, name=name).count() == 1


@pytest.mark.parametrize("is_restored_first", [True, False])
def test_no_app_is_deleted_under_a_job_that_is_restored(app: App, is_restored_first: bool) -> None:
    """D-80."""
    job = scheduled(app)
    set_status(job.pk, JobStatus.TRASHED, app=app, user=ANN, now=START)
    restore = partial(restore_job, job.pk, app=app, user=ANN, now=START)
    close = partial(close_app, app, by=None, user=ANN, now=START)
    works = (close, restore) if is_restored_first else (restore, close)

    assert meanwhile(partial(is_refused, works[0]), works[1])

    app.refresh_from_db()
    assert (app.closed_at is None) is is_restored_first
    is_trashed = Job.objects.filter(pk=job.pk, status=JobStatus.TRASHED).exists()
    assert is_trashed is not is_restored_first
