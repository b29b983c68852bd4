"""Alarms: raised by an end or a deadline, told once to each receiver, by mail or webhook."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from email.header import decode_header, make_header
from typing import Any

import pytest
from pytest_django import Settings

from jobs.models import AuditEntry, Job
from sentinel_project.errors import InvalidParameters, NotFound, Refused
from tasks_app import alarm_services, notices, transitions
from tasks_app.models import Alarm, Change, Delivery, Task
from tasks_app.rules.notices import DeliveryState
from tasks_app.rules.states import AttemptStatus, TaskKind, TaskStatus
from tests.builders import NOW, make_app, make_job, make_task
from tests.engine import run
from tests.flow.mail_sink import Sink, collecting
from tests.flow.notices import SetClock, alarm, bodies, due_task
from tests.flow.web_receiver import receiving

pytestmark = pytest.mark.django_db


@pytest.fixture
def tick() -> SetClock:
    return SetClock()


@pytest.fixture
def sink(settings: Settings) -> Iterator[Sink]:
    """A mail server that is the one of the settings."""
    with collecting() as made:
        settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", made.port
        yield made


def fail(job: Job) -> Task:
    task = due_task(job)
    run(task, AttemptStatus.FAILED, now=NOW)
    return task


def events() -> list[str]:
    return list(Delivery.objects.order_by("pk").values_list("event", flat=True))


def test_a_failure_is_mailed(sink: Sink, tick: SetClock) -> None:
    job = make_job(app=make_app(), name="night\r\nBcc: eve@example.com\nly é")
    alarm(job, "FAILED", mails=("ann@example.com", "bob@example.com"))
    fail(job)

    assert notices.run_once(tick) == 2

    assert sorted(sink.recipients) == ["ann@example.com", "bob@example.com"]
    for mail in sink.mails:
        assert mail["To"] in sink.recipients
        assert mail["Bcc"] is None
        subject = str(make_header(decode_header(mail["Subject"])))
        assert subject.startswith("[Sentinel] night Bcc: eve@example.com ly é: the run of ")
    assert set(Delivery.objects.values_list("state", flat=True)) == {"DELIVERED"}


def test_a_failure_is_posted_to_a_webhook(settings: Settings, tick: SetClock) -> None:
    settings.SENTINEL_CALLBACK_ALLOW_PRIVATE = True
    job = make_job(app=make_app())
    with receiving() as receiver:
        made = alarm(job, "FAILED", mails=(), webhooks=(receiver.url(),))
        task = fail(job)

        notices.run_once(tick)

        (body,) = bodies(receiver)
    assert (body["kind"], body["alarmId"], body["event"]) == ("ALARM", made.pk, "FAILED")
    assert (body["taskId"], body["status"]) == (task.pk, TaskStatus.FAILED)
    assert receiver.got[0].headers["x-sentinel-signature"].startswith("v1=")


def test_a_failure_that_is_retried_is_no_alarm(tick: SetClock) -> None:
    job = make_job(app=make_app(), max_retries=1)
    alarm(job, "FAILED")
    fail(job)

    notices.expand_changes(now=NOW)

    assert events() == []


def test_expiry_and_kill_are_events_of_their_own(tick: SetClock) -> None:
    job = make_job(app=make_app(), expire_after=timedelta(seconds=1))
    alarm(job, "FAILED", "EXPIRED", "KILLED")
    late = make_task(TaskStatus.WAITING, job=job, expires_at=NOW)

    assert transitions.expire(late, now=NOW)
    transitions.kill(make_task(job=job), user="ann", now=NOW)
    notices.expand_changes(now=NOW)

    assert events() == ["EXPIRED", "KILLED"]


def test_a_second_failure_of_a_task_is_told_again(tick: SetClock) -> None:
    job = make_job(app=make_app())
    alarm(job, "FAILED")
    task = fail(job)
    transitions.retry(task, user="ann", now=NOW)
    task = Task.objects.select_related("job__app", "worker_group").get(pk=task.pk)
    run(task, AttemptStatus.FAILED, now=NOW)

    notices.expand_changes(now=NOW)

    assert events() == ["FAILED", "FAILED"]


def test_a_storm_is_told_once_in_its_quiet_time(tick: SetClock) -> None:
    job = make_job(app=make_app())
    alarm(job, "FAILED", "KILLED", quiet_for=timedelta(minutes=10))
    for _ in range(3):
        fail(job)
        notices.expand_changes(now=tick.forward(minutes=1))
    transitions.kill(make_task(job=job), user="ann", now=NOW)
    notices.expand_changes(now=tick())
    fail(job)
    notices.expand_changes(now=tick.forward(minutes=10))

    states = list(Delivery.objects.order_by("pk").values_list("event", "state"))
    assert states == [
        ("FAILED", DeliveryState.PENDING),
        ("FAILED", DeliveryState.SUPPRESSED),
        ("FAILED", DeliveryState.SUPPRESSED),
        ("KILLED", DeliveryState.PENDING),
        ("FAILED", DeliveryState.PENDING),
    ]


@pytest.mark.parametrize(
    ("event", "column", "status"),
    [
        ("NOT_STARTED", "start_within", TaskStatus.WAITING),
        ("NOT_STARTED", "start_within", TaskStatus.READY),
        ("NOT_FINISHED", "finish_within", TaskStatus.WAITING),
        ("NOT_FINISHED", "finish_within", TaskStatus.RUNNING),
    ],
)
def test_a_deadline_is_told_once_when_it_has_passed(
    tick: SetClock, event: str, column: str, status: TaskStatus
) -> None:
    job = make_job(app=make_app())
    alarm(job, event, **{column: timedelta(minutes=30)})
    make_task(status, job=job, due_at=NOW)

    assert notices.watch_deadlines(now=tick.forward(minutes=29)) == 0
    assert notices.watch_deadlines(now=tick.forward(minutes=1)) == 1
    assert notices.watch_deadlines(now=tick.forward(minutes=1)) == 0

    assert events() == [event]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        pytest.param(TaskStatus.RUNNING, {}, id="started"),
        pytest.param(TaskStatus.SUCCESS, {}, id="finished"),
        pytest.param(TaskStatus.FAILED, {}, id="failed"),
        pytest.param(TaskStatus.WAITING, {"kind": TaskKind.RERUN.value}, id="a rerun"),
        pytest.param(
            TaskStatus.WAITING, {"due_at": NOW - timedelta(days=1)}, id="before the alarm"
        ),
    ],
)
def test_a_run_that_has_started_or_does_not_count_raises_nothing(
    tick: SetClock, status: TaskStatus, words: dict[str, object]
) -> None:
    job = make_job(app=make_app())
    alarm(job, "NOT_STARTED", start_within=timedelta(minutes=30))
    make_task(status, job=job, **{"due_at": NOW, **words})

    assert notices.watch_deadlines(now=tick.forward(hours=2)) == 0


def test_a_disabled_or_deleted_alarm_tells_nobody(tick: SetClock) -> None:
    job = make_job(app=make_app())
    off, gone = alarm(job, "FAILED"), alarm(job, "FAILED")
    words: dict[str, Any] = {"app": job.app, "user": "ann", "now": NOW}
    alarm_services.edit_alarm(off.pk, {"is_enabled": False}, **words)
    alarm_services.delete_alarm(gone.pk, **words)
    fail(Job.objects.get(pk=job.pk))

    notices.expand_changes(now=NOW)

    assert events() == []


def test_a_job_without_alarms_leaves_no_changes_any_more() -> None:
    job = make_job(app=make_app())
    made = alarm(job, "FAILED")
    assert Job.objects.get(pk=job.pk).has_alarms

    alarm_services.delete_alarm(made.pk, app=job.app, user="ann", now=NOW)
    fail(Job.objects.get(pk=job.pk))

    assert not Change.objects.exists()
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "alarm.add",
        "alarm.delete",
    ]


def test_a_mailbox_that_is_unknown_for_ever_is_not_tried_again(sink: Sink, tick: SetClock) -> None:
    job = make_job(app=make_app())
    alarm(job, "FAILED")
    fail(job)
    sink.refusal = "550 no such mailbox"

    notices.run_once(tick)

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries) == (DeliveryState.GIVEN_UP, 1)
    assert delivery.log.get().answer == "550 no such mailbox"


def test_a_mail_server_that_is_away_is_tried_again(
    tick: SetClock, sink: Sink, settings: Settings
) -> None:
    job = make_job(app=make_app())
    alarm(job, "FAILED")
    fail(job)
    settings.EMAIL_PORT = 9

    notices.run_once(tick)

    delivery = Delivery.objects.get()
    assert (delivery.state, delivery.tries) == (DeliveryState.PENDING, 1)
    assert "Refused" in delivery.log.get().answer


def test_a_sender_that_is_no_address_costs_its_mails_a_try_and_nothing_else(
    tick: SetClock, sink: Sink, settings: Settings
) -> None:
    """D-84: it is tried again with its pauses, and what was told beside it is not told twice."""
    settings.SENTINEL_MAIL_FROM = "Sentinel, Ops <ops@example.com>"
    settings.SENTINEL_CALLBACK_ALLOW_PRIVATE = True
    job = make_job(app=make_app())
    with receiving() as receiver:
        alarm(job, "FAILED", webhooks=(receiver.url(),))
        fail(job)

        assert notices.run_once(tick) == 2

    mail = Delivery.objects.get(channel="MAIL")
    assert (mail.state, mail.tries) == (DeliveryState.PENDING, 1)
    assert "Invalid address" in mail.log.get().answer
    assert Delivery.objects.get(channel="WEBHOOK").state == DeliveryState.DELIVERED


@pytest.mark.parametrize("broken", [{}, {"scheduleTime": None}], ids=["no words", "no time"])
def test_a_delivery_that_breaks_its_sender_is_a_failed_try_of_that_one(
    tick: SetClock, sink: Sink, broken: dict[str, Any]
) -> None:
    """D-84."""
    job = make_job(app=make_app())
    alarm(job, "FAILED", mails=("ann@example.com", "bob@example.com"))
    fail(job)
    notices.expand_changes(now=NOW)
    first, second = Delivery.objects.order_by("pk")
    Delivery.objects.filter(pk=first.pk).update(payload=broken)

    assert notices.deliver_due(tick) == 2

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.state, first.tries) == (DeliveryState.PENDING, 1)
    assert first.log.get().answer.startswith("it could not be sent: ")
    assert second.state == DeliveryState.DELIVERED


def test_without_a_mail_server_it_is_given_up_with_the_setting(
    tick: SetClock, settings: Settings
) -> None:
    settings.EMAIL_HOST = ""
    job = make_job(app=make_app())
    alarm(job, "FAILED")
    fail(job)

    notices.run_once(tick)

    assert Delivery.objects.get().log.get().answer == "SENTINEL_MAIL_URL is not set"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"events": ()}, "events must name at least one"),
        ({"mails": ()}, "webhooks or mails must name whom to tell"),
        ({"start_within": timedelta(1)}, "startWithin must be .* 0 without it, not 86400"),
        ({"events": ("NOT_FINISHED",)}, "finishWithin must be more than 0"),
    ],
)
def test_an_alarm_that_could_not_be_raised_is_refused(
    words: dict[str, tuple[str, ...]], said: str
) -> None:
    job = make_job(app=make_app())
    spec = {"events": ("FAILED",), "mails": ("a@example.com",), **words}

    with pytest.raises(InvalidParameters, match=said):
        alarm(job, *spec.pop("events"), **spec)

    assert not Alarm.objects.exists()


def test_a_job_has_so_many_alarms_and_no_more() -> None:
    job = make_job(app=make_app())
    for _ in range(alarm_services.MAX_ALARMS):
        alarm(job, "FAILED")

    with pytest.raises(Refused, match="as many as a job may have"):
        alarm(job, "FAILED")


def test_another_apps_alarm_is_unknown() -> None:
    made = alarm(make_job(app=make_app()), "FAILED")

    with pytest.raises(NotFound, match=f"no alarm {made.pk}"):
        alarm_services.delete_alarm(made.pk, app=make_app(), user="bob", now=NOW)
