"""One row that cannot be told of stops nothing else from being told, and stays for later (X-9)."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from tasks_app import notices, transitions
from tasks_app.models import Alarm, Change, Delivery
from tasks_app.notices import deadlines, expanding
from tasks_app.rules.states import TaskStatus
from tests.builders import NOW, make_app, make_job, make_task
from tests.flow.notices import alarm, due_task

pytestmark = pytest.mark.django_db

LATE = NOW + timedelta(hours=1)
URL = "https://example.com/"
UNTELLABLE = [
    pytest.param({"webhooks": 5}, id="what is no list of receivers"),
    pytest.param(
        {"webhooks": ["https://example.com/" + "x" * 2000]},
        id="an address that its column refuses",
        marks=pytest.mark.skipif(
            connection.vendor == "sqlite", reason="SQLite's columns take any length"
        ),
    ),
]


def spoil(made: Alarm, words: dict[str, object]) -> None:
    Alarm.objects.filter(pk=made.pk).update(**words)


def mend(made: Alarm) -> None:
    Alarm.objects.filter(pk=made.pk).update(webhooks=[])


def told() -> list[tuple[int | None, str]]:
    """Return of each delivery the alarm, None of a callback, and the receiver."""
    return list(Delivery.objects.order_by("pk").values_list("alarm_id", "target"))


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.msg for record in caplog.records if record.levelname == "ERROR"]


@pytest.mark.parametrize("words", UNTELLABLE)
def test_an_alarm_that_cannot_be_raised_stops_neither_the_callback_nor_another_alarm(
    words: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    job = make_job(app=make_app(), callback_url=URL)
    poison = alarm(job, "KILLED", mails=("eve@example.com",))
    good = alarm(job, "KILLED")
    spoil(poison, words)
    transitions.kill(due_task(job), user="ann", now=NOW)

    assert notices.expand_changes(now=NOW) == 0
    assert told() == [(None, URL), (good.pk, "ann@example.com")]
    assert errors(caplog) == ["change.not_told"]

    mend(poison)
    assert notices.expand_changes(now=NOW) == 1
    assert told()[2:] == [(poison.pk, "eve@example.com")]
    assert not Change.objects.exists()


def test_a_change_that_cannot_be_told_stops_no_change_behind_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """As many as fill a batch are not looked at again and again instead of the others."""
    monkeypatch.setattr(expanding, "BATCH", 2)
    job = make_job(app=make_app())
    good = alarm(job, "KILLED")
    tasks = [due_task(job) for _ in range(5)]
    for task in tasks:
        transitions.kill(task, user="ann", now=NOW)
    poisonous = [task.pk for task in tasks[:2]]
    Change.objects.filter(task__in=poisonous).update(to_status=77)

    assert notices.expand_changes(now=NOW) == 3

    assert told() == [(good.pk, "ann@example.com")] * 3
    assert list(Change.objects.order_by("pk").values_list("task_id", flat=True)) == poisonous
    assert errors(caplog) == ["change.not_told"] * 2


@pytest.mark.parametrize("words", UNTELLABLE)
def test_a_deadline_that_cannot_be_raised_stops_no_other(
    words: dict[str, object], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even where its own late runs fill a batch."""
    monkeypatch.setattr(deadlines, "BATCH", 2)
    late = {"start_within": timedelta(minutes=5)}
    bad_job, good_job = make_job(app=make_app()), make_job(app=make_app())
    poison = alarm(bad_job, "NOT_STARTED", **late)
    good = [alarm(good_job, "NOT_STARTED", **late) for _ in range(2)]
    spoil(poison, words)
    for _ in range(3):
        make_task(TaskStatus.WAITING, job=bad_job, due_at=NOW + timedelta(minutes=_))
    for _ in range(2):
        make_task(TaskStatus.WAITING, job=good_job, due_at=NOW + timedelta(minutes=9 + _))

    assert notices.watch_deadlines(now=LATE) == 4
    assert sorted(told()) == sorted([(made.pk, "ann@example.com") for made in good] * 2)
    assert errors(caplog) == ["alarm.not_raised"] * 3

    mend(poison)
    assert notices.watch_deadlines(now=LATE) == 3
