"""Ringing against a broker that refuses or does not answer (X-4), and whose slots are free."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from amqp.exceptions import PreconditionFailed
from kombu.exceptions import OperationalError

from jobs.models import WorkerGroup
from tasks_app import celery_tasks, dispatcher
from tasks_app.celery_tasks import Ringer
from tasks_app.models import Task, Worker
from tasks_app.rules.states import Reason
from tests.builders import make_app, make_job, make_task

pytestmark = pytest.mark.django_db


class Broker:
    """Hears bells, but for groups whose queue refuses them, or while it is away."""

    def __init__(self) -> None:
        self.heard: list[int] = []
        self.asked = 0
        self.refusing: set[int] = set()
        self.is_away = False

    def publish(self, bell: dispatcher.Bell) -> None:
        self.asked += 1
        if self.is_away:
            raise OperationalError("connection refused")
        if bell.group_id in self.refusing:
            raise PreconditionFailed("inequivalent arg 'x-max-priority'")
        self.heard.append(bell.task_id)


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    broker = Broker()
    monkeypatch.setattr(celery_tasks, "publish", broker.publish)
    return broker


@pytest.fixture
def groups(now: datetime) -> list[WorkerGroup]:
    """Two groups with four slots each."""
    groups = [WorkerGroup.objects.get(pk=1), WorkerGroup.objects.create(name="other")]
    for group in groups:
        words = {"host": "h", "pid": 1, "pool": "threads", "slots": 4, "started_at": now}
        worker = Worker.objects.create(name=f"w{group.pk}", beat_at=now, **words)
        worker.groups.set([group])
    return groups


def ready(group: WorkerGroup, count: int, now: datetime, **words: Any) -> list[int]:
    job = make_job(worker_group=group)
    made = [make_task(job=job, worker_group=group, ready_at=now, **words) for _ in range(count)]
    return [task.pk for task in made]


def test_a_queue_that_refuses_keeps_no_other_group_from_being_rung(
    broker: Broker, groups: list[WorkerGroup], now: datetime
) -> None:
    ready(groups[0], 3, now)
    others = ready(groups[1], 3, now)
    broker.refusing = {groups[0].pk}

    assert Ringer().ring(now=now)

    assert broker.heard == others
    assert broker.asked == 1 + len(others)


def test_a_broker_that_is_away_is_left_alone_for_a_while_and_told_everything_then(
    broker: Broker, groups: list[WorkerGroup], now: datetime
) -> None:
    tasks = ready(groups[0], 3, now)
    clock = [100.0]
    ringer = Ringer(lambda: clock[0])
    broker.is_away = True
    answers = [ringer.ring(now=now), ringer.ring(now=now)]
    broker.is_away = False
    clock[0] += 1.0
    answers.append(ringer.ring(now=now))

    assert answers == [False, False, True]
    assert broker.heard == tasks
    assert broker.asked == 1 + len(tasks)


def test_what_a_gate_refused_at_its_claim_takes_no_slot(
    broker: Broker, groups: list[WorkerGroup], now: datetime
) -> None:
    """D-80, D-82: an app at its limit must not silence the others of its group."""
    refused = {"rung_at": now, "ring_count": 1, "reason": Reason.APP_LIMIT.value}
    ready(groups[0], 4, now, **refused)
    other = make_task(job=make_job(app=make_app()), ready_at=now)

    Ringer().ring(now=now)

    assert broker.heard == [other.pk]
    assert Task.objects.get(pk=other.pk).rung_at == now


def test_what_was_tried_before_is_tried_again_however_late_it_is(
    broker: Broker, groups: list[WorkerGroup], now: datetime
) -> None:
    """D-24: expiry bounds the first start alone. What the worker lost waits for its next try."""
    too_late = {"expires_at": now - timedelta(seconds=1)}
    ready(groups[0], 1, now, **too_late)
    lost = ready(groups[0], 1, now, **too_late, attempt_count=1)

    Ringer().ring(now=now)
    following = dispatcher.first_startable(groups[0].pk, now=now)

    assert broker.heard == lost
    assert following is not None
    assert following.pk == lost[0]
