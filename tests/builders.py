"""Builds rows for tests: a test says what it is about, and the rest is as it would be.

A task gets what its status implies: an ended one has ended, a running one has a live attempt.
"""

# factory-boy says that it is typed, and its functions are not.
# mypy: disable-error-code="attr-defined,no-untyped-call,type-arg,untyped-decorator"

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, cast

import factory
from factory.django import DjangoModelFactory

from jobs import keys
from jobs.models import App, Job
from logs_app import store
from logs_app.models import StreamKind
from sentinel_project.chained import chained
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import (
    FINAL,
    LIVE,
    UNSTARTED,
    AttemptStatus,
    TaskKind,
    TaskStatus,
)

NOW = datetime(2026, 3, 4, 1, 0, tzinfo=UTC)
KEY = "0123456789abcdef0123456789abcdef"

_ATTEMPT_OF = {
    TaskStatus.RUNNING: AttemptStatus.RUNNING,
    TaskStatus.SUCCESS: AttemptStatus.SUCCESS,
    TaskStatus.FAILED: AttemptStatus.FAILED,
    TaskStatus.KILLED: AttemptStatus.KILLED,
}


class AppFactory(DjangoModelFactory):
    """An app whose key is ``KEY``."""

    class Meta:
        model = App

    name = factory.Sequence(lambda n: f"app-{n}")
    sealed_key = factory.LazyFunction(lambda: keys.seal(KEY))
    created_at = NOW


class JobFactory(DjangoModelFactory):
    """A job without schedule or dependencies."""

    class Meta:
        model = Job

    app = factory.SubFactory(AppFactory)
    name = factory.Sequence(lambda n: f"job-{n}")
    job_type = "dummy"
    content = "{}"
    time_zone = "Asia/Shanghai"
    created_at = NOW
    updated_at = NOW
    floor_at = NOW


class TaskFactory(DjangoModelFactory):
    """A task that came to its status the ordinary way."""

    class Meta:
        model = Task
        skip_postgeneration_save = True

    job = factory.SubFactory(JobFactory)
    kind = TaskKind.SCHEDULE.value
    status = TaskStatus.READY.value
    due_at = factory.Sequence(lambda n: NOW + timedelta(minutes=n))
    data_at = factory.SelfAttribute("due_at")
    opened_at = factory.SelfAttribute("due_at")
    worker_group_id = factory.SelfAttribute("job.worker_group_id")
    priority = factory.SelfAttribute("job.priority")
    released_at = factory.LazyAttribute(
        lambda task: None if task.status == TaskStatus.WAITING else task.opened_at
    )
    ready_at = factory.SelfAttribute("released_at")
    started_at = factory.LazyAttribute(
        lambda task: None if task.status in UNSTARTED else task.opened_at
    )
    ended_at = factory.LazyAttribute(
        lambda task: task.opened_at + timedelta(seconds=5) if task.status in FINAL else None
    )
    attempt_count = factory.LazyAttribute(lambda task: int(TaskStatus(task.status) in _ATTEMPT_OF))
    fence = factory.SelfAttribute("attempt_count")

    @factory.post_generation
    def attempts(self: Any, create: bool, extracted: Any, **kwargs: Any) -> None:
        """Give the task the attempts it counts: others than the last one that ended it failed."""
        last = _ATTEMPT_OF.get(TaskStatus(self.status), AttemptStatus.FAILED)
        for number in range(1, self.attempt_count + 1):
            status = last if number == self.attempt_count else AttemptStatus.FAILED
            AttemptFactory(task=self, number=number, status=status.value)


class AttemptFactory(DjangoModelFactory):
    """An attempt; if it has ended, its two streams are closed."""

    class Meta:
        model = Attempt
        skip_postgeneration_save = True

    task = factory.SubFactory(TaskFactory, status=TaskStatus.RUNNING.value, attempt_count=0)
    number = 1
    fence = factory.SelfAttribute("number")
    status = AttemptStatus.RUNNING.value
    worker = "w1"
    claimed_at = factory.SelfAttribute("task.opened_at")
    started_at = factory.SelfAttribute("claimed_at")
    ended_at = factory.LazyAttribute(
        lambda made: None if made.status in LIVE else made.claimed_at + timedelta(seconds=5)
    )
    lease_until = factory.LazyAttribute(lambda made: made.claimed_at + timedelta(seconds=30))
    exit_code = factory.LazyAttribute(
        lambda made: 0 if made.status == AttemptStatus.SUCCESS else None
    )
    content = factory.SelfAttribute("task.job.content")

    @factory.post_generation
    def streams(self: Any, create: bool, extracted: Any, **kwargs: Any) -> None:
        if self.ended_at is not None:
            close_streams(self.pk, fence=self.fence, now=self.ended_at)


def close_streams(attempt_id: int, *, fence: int, now: datetime) -> None:
    """Say that nothing will follow, as the end of an attempt does."""
    chained(store.closing(attempt_id, fence=fence, now=now))


def make_app(**words: Any) -> App:
    return cast(App, AppFactory(**words))


def make_job(**words: Any) -> Job:
    return cast(Job, JobFactory(**words))


def make_task(status: TaskStatus = TaskStatus.READY, **words: Any) -> Task:
    return cast(Task, TaskFactory(status=status.value, **words))


def make_attempt(status: AttemptStatus = AttemptStatus.RUNNING, **words: Any) -> Attempt:
    return cast(Attempt, AttemptFactory(status=status.value, **words))


def make_output(data: bytes, *, kind: StreamKind, is_closed: bool, **words: Any) -> Attempt:
    """Return a running attempt that has printed ``data`` to one of its streams."""
    attempt = make_attempt(**words)
    assert store.append(attempt.pk, kind, fence=attempt.fence, start=0, data=data)
    if is_closed:
        close_streams(attempt.pk, fence=attempt.fence, now=NOW)
    return attempt
