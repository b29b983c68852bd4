"""A READY task that does not start says why, in its stored reason (1-domain.md 2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.db import InternalError, connection

from jobs.models import App, Job, WorkerGroup
from jobs.rules.enums import JobStatus
from tasks_app import planner, transitions
from tasks_app.models import SystemState, Task, Worker
from tasks_app.planner.reasons import BATCH
from tasks_app.rules.states import Reason, TaskStatus
from tests.builders import make_task

pytestmark = pytest.mark.django_db


@pytest.fixture
def task(now: datetime) -> Task:
    return make_task(due_at=now - timedelta(minutes=1))


@pytest.fixture
def worker(now: datetime) -> Worker:
    worker = Worker.objects.create(
        name="w1", host="h", pid=1, pool="prefork", slots=1, started_at=now, beat_at=now
    )
    worker.groups.add(1)
    return worker


def pause_job(task: Task) -> None:
    Job.objects.filter(pk=task.job_id).update(status=JobStatus.PAUSED)


def pause_system(task: Task) -> None:
    SystemState.objects.filter(pk=1).update(is_paused=True)


def disable_app(task: Task) -> None:
    App.objects.filter(pk=task.job.app_id).update(is_enabled=False)


def fill_app(task: Task) -> None:
    App.objects.filter(pk=task.job.app_id).update(max_concurrency=1)
    make_task(TaskStatus.RUNNING, job=task.job)


def run_another_of_a_serial_job(task: Task) -> None:
    Job.objects.filter(pk=task.job_id).update(is_serial=True)
    make_task(TaskStatus.RUNNING, job=task.job)


def disable_group(task: Task) -> None:
    WorkerGroup.objects.filter(pk=1).update(is_enabled=False)


def lose_the_worker(task: Task) -> None:
    Worker.objects.update(beat_at=task.due_at - timedelta(hours=1))


def nothing(task: Task) -> None:
    """Leave it: it merely queues."""


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (pause_job, Reason.JOB_PAUSED),
        (pause_system, Reason.SYSTEM_PAUSED),
        (disable_app, Reason.APP_DISABLED),
        (fill_app, Reason.APP_LIMIT),
        (run_another_of_a_serial_job, Reason.SERIAL_OVERLAP),
        (disable_group, Reason.GROUP_DISABLED),
        (lose_the_worker, Reason.NO_WORKER),
        (nothing, Reason.QUEUED),
    ],
)
def test_a_ready_task_says_what_keeps_it(
    task: Task, worker: Worker, now: datetime, trouble: Callable[[Task], None], reason: Reason
) -> None:
    trouble(task)

    planner.note_reasons(now=now)

    task.refresh_from_db()
    assert task.reason == reason
    assert task.reason_text


def test_the_same_verdict_is_noted_once(task: Task, worker: Worker, now: datetime) -> None:
    planner.note_reasons(now=now)
    planner.note_reasons(now=now + timedelta(seconds=2))

    assert task.notes.count() == 1


def test_a_task_that_cannot_be_judged_costs_no_other_its_reason(
    task: Task, worker: Worker, now: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    """X-9. Its app's limit cannot be counted; the other's app has none."""
    later = make_task(due_at=now)
    App.objects.filter(pk=task.job.app_id).update(max_concurrency=1)

    def refuse_counts(execute: Callable[..., object], sql: str, *rest: object) -> object:
        if "COUNT(" in sql:
            raise InternalError("could not read block 7")
        return execute(sql, *rest)

    with connection.execute_wrapper(refuse_counts):
        assert planner.note_reasons(now=now) == 2

    later.refresh_from_db()
    assert later.reason == Reason.QUEUED
    assert Task.objects.get(pk=task.pk).reason == ""
    assert [(r.msg, vars(r)["task_id"]) for r in caplog.records if r.levelname == "ERROR"] == [
        ("task.not_judged", task.pk)
    ]


def test_a_task_that_is_rung_meanwhile_is_said_to_wait_for_nothing(
    task: Task, now: datetime
) -> None:
    """Two beats: one judges what the other rings. Its ring would not count as on its way."""
    judged = Task.objects.get(pk=task.pk)
    transitions.ring([task.pk], now=now)

    transitions.wait_together([judged], Reason.QUEUED, "it queues", gate="dispatched", now=now)

    assert Task.objects.get(pk=task.pk).reason == ""
    assert not task.notes.exists()


def test_the_round_comes_to_all_and_begins_again(task: Task, now: datetime) -> None:
    last = [make_task(job=task.job, ready_at=now) for _ in range(BATCH)][-1]
    going_round = planner.ReasonRound()

    def noted(reason: Reason) -> int:
        going_round.go_on(now=now)
        return Task.objects.filter(reason=reason).count()

    assert [noted(Reason.NO_WORKER), noted(Reason.NO_WORKER)] == [BATCH, BATCH + 1]
    pause_job(task)
    assert noted(Reason.JOB_PAUSED) == BATCH
    assert Task.objects.get(pk=last.pk).reason == Reason.NO_WORKER


def test_a_task_that_waits_out_its_retry_interval_keeps_that_reason(now: datetime) -> None:
    task = make_task(
        ready_at=now + timedelta(seconds=30), reason=Reason.RETRY_WAIT, reason_text="next in 30 s"
    )

    planner.note_reasons(now=now)

    task.refresh_from_db()
    assert task.reason == Reason.RETRY_WAIT
