"""What the operators of an installation are told, by the outbox of the alarms (D-84, X-9, D-81)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from pytest_django import Settings

from jobs.models import App, Job, ScheduleExpression, WorkerGroup, new_revision
from jobs.rules.enums import AppKind, ExpressionKind
from sentinel_project.beat import Scheduler
from sentinel_project.errors import NotFound
from tasks_app import alarm_services, notices, workers
from tasks_app.models import Delivery, Worker
from tasks_app.rules.notices import DeliveryState, SystemEvent, signatures
from tasks_app.rules.states import TaskStatus
from tests.builders import NOW, make_app, make_task
from tests.engine import submit, tick
from tests.flow.held_runs import DAILY, DUE, START, a_worker
from tests.flow.mail_sink import Sink, collecting
from tests.flow.notices import SetClock, bodies
from tests.flow.web_receiver import receiving

pytestmark = pytest.mark.django_db

OPS = "ops@example.com"


@pytest.fixture(autouse=True)
def told(settings: Settings) -> None:
    settings.SENTINEL_ALARM_MAILS = [OPS]


@pytest.fixture
def sink(settings: Settings) -> Iterator[Sink]:
    with collecting() as made:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", made.port
        yield made


def events() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("event", flat=True))


def set_aside(app: App) -> Job:
    """Return a job whose expression cannot be read, after the planner has found that out."""
    job = submit(app, "bad", now=START, schedule=DAILY)
    ScheduleExpression.objects.filter(job=job).update(text="d(0)", kind=ExpressionKind.RATE)
    Job.objects.filter(pk=job.pk).update(revision=new_revision())
    tick(DUE)
    return job


def test_an_expression_that_was_set_aside_is_mailed_once(sink: Sink) -> None:
    """X-9: alarmed."""
    job = set_aside(make_app())

    for minute in range(3):
        notices.watch_system(now=DUE + timedelta(minutes=minute))
    notices.run_once(SetClock(DUE + timedelta(minutes=5)))

    (mail,) = sink.mails
    assert mail["To"] == OPS
    assert f"job {job.pk} (bad): EXPRESSION_FAULT" in mail["Subject"].replace("\n", "")
    assert Delivery.objects.get().state == DeliveryState.DELIVERED


def test_another_fault_of_it_is_told_again() -> None:
    set_aside(make_app())
    notices.watch_system(now=DUE)
    ScheduleExpression.objects.update(fault="something else")

    notices.watch_system(now=DUE)

    assert events() == ["EXPRESSION_FAULT"] * 2


def test_a_group_without_workers_is_told_once_until_one_came_back() -> None:
    """D-81."""
    make_task(ready_at=NOW - timedelta(minutes=1))
    assert not events()

    notices.watch_system(now=NOW)
    assert events() == []  # perhaps it restarts
    notices.watch_system(now=NOW + timedelta(minutes=2))
    notices.watch_system(now=NOW + timedelta(minutes=3))
    assert events() == ["NO_WORKERS"]
    a_worker(NOW + timedelta(minutes=4))
    notices.watch_system(now=NOW + timedelta(minutes=4))
    assert events() == ["NO_WORKERS"]
    notices.watch_system(now=NOW + timedelta(minutes=4) + workers.LIVE_FOR)
    assert events() == ["NO_WORKERS"] * 2
    assert Worker.objects.exists()


@pytest.mark.parametrize(
    "status", [status for status in TaskStatus if status is not TaskStatus.READY]
)
def test_a_group_in_which_nothing_is_ready_needs_no_workers(status: TaskStatus) -> None:
    make_task(status, ready_at=NOW - timedelta(hours=1))

    notices.watch_system(now=NOW)

    assert events() == []


def test_a_disabled_group_needs_no_workers() -> None:
    task = make_task(ready_at=NOW - timedelta(hours=1))
    WorkerGroup.objects.filter(pk=task.worker_group_id).update(is_enabled=False)

    notices.watch_system(now=NOW)

    assert events() == []


def test_a_clock_that_is_held_is_told_by_its_beat() -> None:
    """X-9."""
    beat = Scheduler.__new__(Scheduler)
    beat._name = "here.1"

    beat._tell_of_clock(NOW)
    beat._tell_of_clock(NOW + timedelta(seconds=10))

    assert events() == ["CLOCK_DOUBTFUL"]
    assert Delivery.objects.get().payload["subject"] == "beat here.1"


def test_it_is_posted_with_the_key_of_the_operators(settings: Settings) -> None:
    settings.SENTINEL_CALLBACK_ALLOW_PRIVATE = True
    settings.SENTINEL_ALARM_MAILS, settings.SENTINEL_ALARM_KEY = [], "k" * 32
    with receiving() as receiver:
        settings.SENTINEL_ALARM_WEBHOOKS = [receiver.url()]
        set_aside(make_app())
        notices.watch_system(now=DUE)
        notices.run_once(SetClock(DUE))

        (body,) = bodies(receiver)
        (got,) = receiver.got
    assert (body["kind"], body["event"]) == ("SYSTEM", "EXPRESSION_FAULT")
    assert re.search("whole number", body["reasonText"])
    stamp = int(got.headers["x-sentinel-timestamp"])
    assert got.headers["x-sentinel-signature"] == signatures(["k" * 32], stamp, got.body)


def test_where_nobody_is_to_be_told_nobody_is(settings: Settings) -> None:
    settings.SENTINEL_ALARM_MAILS = []
    set_aside(make_app())

    notices.watch_system(now=DUE)

    assert events() == []


def test_only_admin_apps_see_them_and_deliver_them_again() -> None:
    notices.tell(SystemEvent.NO_WORKERS, "a group", "no worker", once="x", now=NOW)
    delivery = Delivery.objects.get()
    Delivery.objects.update(state=DeliveryState.GIVEN_UP.value, next_at=None)
    normal, admin = make_app(), make_app(kind=AppKind.ADMIN)

    assert list(alarm_services.deliveries_of(normal)) == []
    assert list(alarm_services.deliveries_of(admin)) == [delivery]
    with pytest.raises(NotFound):
        alarm_services.redeliver(delivery.pk, app=normal, user="eve", now=NOW)
    again = alarm_services.redeliver(delivery.pk, app=admin, user="ann", now=NOW)

    assert again.state == DeliveryState.PENDING
