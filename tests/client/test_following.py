"""Following what a task prints, while it prints it."""

from __future__ import annotations

import threading
from datetime import datetime

from logs_app import store
from logs_app.models import StreamKind
from sentinel_project import clock
from sentinel_project.client.following import StreamName
from tasks_app.models import Attempt
from tasks_app.rules.states import AttemptStatus, TaskStatus
from tests.builders import make_job, make_task
from tests.client.conftest import Connect, Service
from tests.engine import begin, end


def print_out(attempt: Attempt, text: str, *, start: int) -> None:
    data = text.encode()
    assert store.append(attempt.pk, StreamKind.RESULT, fence=attempt.fence, start=start, data=data)


def test_a_task_is_followed_over_its_attempts_to_its_end(
    connect: Connect, service: Service, now: datetime
) -> None:
    job = make_job(app=service.app, max_retries=1)
    task = make_task(job=job, expires_at=None)
    pieces = connect().follow(task.pk, StreamName.RESULT)
    got = []

    first = begin(task, now=clock.now())
    print_out(first, "eins ü\n", start=0)
    got.append(next(pieces))
    print_out(first, "zwei\n", start=8)
    got.append(next(pieces))
    end(first, AttemptStatus.FAILED, now=clock.now())
    type(task).objects.filter(pk=task.pk).update(ready_at=now)
    second = begin(task, now=clock.now())
    print_out(second, "drei\n", start=0)
    got.append(next(pieces))
    end(second, now=clock.now())

    assert [(piece.attempt, piece.text) for piece in [*got, *pieces]] == [
        (1, "eins ü\n"),
        (1, "zwei\n"),
        (2, "drei\n"),
    ]


def test_following_a_task_that_never_begins_ends_with_it(
    connect: Connect, service: Service
) -> None:
    task = make_task(TaskStatus.WAITING, job=make_job(app=service.app))
    client = connect()
    killer = threading.Timer(0.3, lambda: client.kill(task.pk))
    killer.start()

    assert list(connect().follow(task.pk, StreamName.LOG)) == []

    killer.join()
