"""Deadlines of runs that were never opened: owed, no task, and somebody wants to know (D-84)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.models import App, Job, ScheduleExpression, new_revision
from jobs.rules.enums import ExpressionKind, JobStatus
from jobs.services import set_status, skip_slot
from tasks_app import alarm_services, notices, services
from tasks_app.models import Alarm, Delivery, Task
from tasks_app.rules.notices import AlarmEvent
from tests.builders import make_app
from tests.engine import ANN, after, at, submit, tick
from tests.flow.held_runs import DAILY, DUE, HOURLY, START

pytestmark = pytest.mark.django_db

WITHIN = timedelta(minutes=30)
LATE = DUE + timedelta(minutes=31)


@pytest.fixture
def app() -> App:
    return make_app()


def alarmed(job: Job, *events: str, now: datetime = START, **words: Any) -> Alarm:
    events = events or ("NOT_STARTED",)
    columns = {"NOT_STARTED": "start_within", "NOT_FINISHED": "finish_within"}
    words |= {columns[event]: WITHIN for event in events}
    spec = alarm_services.AlarmSpec(
        events=tuple(map(AlarmEvent, events)),
        mails=("ann@example.com",),
        **words,
    )
    return alarm_services.add_alarm(job.pk, spec, app=job.app, user=ANN, now=now)


def told() -> list[tuple[str, datetime | None]]:
    return list(Delivery.objects.order_by("pk").values_list("event", "due_at"))


def pause_all(app: App) -> None:
    services.set_system_paused(True, app=app, user=ANN, now=START)


def test_a_run_that_was_never_opened_is_told_once(app: App) -> None:
    job = submit(app, "job", now=START, schedule=DAILY)
    alarmed(job, "NOT_STARTED", "NOT_FINISHED")
    pause_all(app)
    tick(DUE)

    assert notices.watch_unopened(now=DUE + WITHIN) == 0
    assert notices.watch_unopened(now=LATE) == 2
    assert notices.watch_unopened(now=LATE + timedelta(minutes=1)) == 0

    assert told() == [("NOT_STARTED", DUE), ("NOT_FINISHED", DUE)]
    payload = Delivery.objects.earliest("pk").payload
    assert (payload["jobId"], payload["taskId"], payload["status"]) == (job.pk, None, None)
    assert payload["scheduleTime"] == DUE.timestamp() * 1000
    assert "not within 1800 s of its due time; " in payload["reasonText"]
    assert "paused" in payload["reasonText"]


def test_what_was_told_unopened_is_not_told_again_when_it_opens_late(app: App) -> None:
    job = submit(app, "job", now=START, schedule=DAILY)
    alarmed(job)
    pause_all(app)
    notices.watch_unopened(now=LATE)
    services.set_system_paused(False, app=app, user=ANN, now=LATE)
    tick(LATE)

    notices.watch_deadlines(now=LATE)

    assert Task.objects.get(job=job).due_at == DUE
    assert told() == [("NOT_STARTED", DUE)]


def test_a_run_that_was_opened_is_left_to_its_task(app: App) -> None:
    alarmed(submit(app, "job", now=START, schedule=DAILY))
    tick(DUE)

    assert notices.watch_unopened(now=LATE) == 0


def test_a_run_that_its_upstream_never_named_is_told(app: App) -> None:
    """D-36: without the upstream's success there is no task to look at."""
    upstream = submit(app, "upstream", now=START, schedule=DAILY)
    child = submit(app, "child", now=START, dependencies=(after(upstream, "cd"),))
    alarmed(child)
    tick(DUE)

    assert notices.watch_unopened(now=LATE) == 1
    assert told() == [("NOT_STARTED", DUE)]


def test_a_forgotten_pause_is_told_and_a_disabled_job_owes_nothing(app: App) -> None:
    for name, status in (("paused", JobStatus.PAUSED), ("disabled", JobStatus.DISABLED)):
        job = submit(app, name, now=START, schedule=DAILY)
        alarmed(job)
        set_status(job.pk, status, app=app, user=ANN, now=START)
    tick(DUE)

    assert notices.watch_unopened(now=LATE) == 1
    assert Delivery.objects.get().job == Job.objects.get(name="paused")
    assert "PAUSED" in Delivery.objects.get().payload["reasonText"]


def test_a_slot_that_shall_not_run_is_not_missed(app: App) -> None:
    job = submit(app, "job", now=START, schedule=DAILY)
    alarmed(job)
    skip_slot(job.pk, DUE, reason="holiday", app=app, user=ANN, now=START)
    pause_all(app)

    assert notices.watch_unopened(now=LATE) == 0


def test_runs_due_before_the_alarm_was_added_are_not_looked_at(app: App) -> None:
    job = submit(app, "job", now=START, schedule=HOURLY)
    pause_all(app)
    alarmed(job, now=at("2 03:30"))

    notices.watch_unopened(now=at("2 05:00"))

    assert told() == [("NOT_STARTED", at("2 04:00"))]


def test_an_alarm_that_was_off_or_longer_begins_with_what_it_left_open(app: App) -> None:
    job = submit(app, "job", now=START, schedule=HOURLY)
    pause_all(app)
    made = alarmed(job)
    notices.watch_unopened(now=at("2 01:15"))
    words: dict[str, Any] = {"app": app, "user": ANN, "now": at("2 01:15")}

    alarm_services.edit_alarm(made.pk, {"start_within": timedelta(minutes=10)}, **words)
    notices.watch_unopened(now=at("2 01:16"))

    assert told() == [("NOT_STARTED", at("2 00:00")), ("NOT_STARTED", at("2 01:00"))]


def test_after_a_long_silence_only_the_last_day_is_told(app: App) -> None:
    """So that the first look after an outage of a month mails no thousand lines."""
    job = submit(app, "job", now=START, schedule=DAILY)
    alarmed(job)
    pause_all(app)

    notices.watch_unopened(now=at("9 12:00"))

    assert told() == [("NOT_STARTED", at("9 01:00"))]


def test_a_job_that_cannot_be_computed_stops_no_other(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    """X-9."""
    poison, healthy = (submit(app, name, now=START, schedule=DAILY) for name in ("bad", "good"))
    alarmed(poison)
    alarmed(healthy)
    rows = ScheduleExpression.objects.filter(job=poison)
    rows.update(text="d(0)", kind=ExpressionKind.RATE)
    Job.objects.filter(pk=poison.pk).update(revision=new_revision())
    pause_all(app)

    assert notices.watch_unopened(now=LATE) == 1

    assert Delivery.objects.get().job == healthy
    assert "alarm.not_looked" in caplog.text
