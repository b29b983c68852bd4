"""/api/alarm/…: adding, editing, listing and deleting alarms, and what was delivered."""

from __future__ import annotations

from typing import Any

import pytest
from pytest_django import Settings

from jobs.models import Job
from tasks_app.models import Alarm, Delivery
from tests.builders import NOW, make_job, make_task
from tests.caller import Caller

ADDED: dict[str, Any] = {
    "events": ["FAILED", "NOT_STARTED"],
    "startWithin": 60,
    "webhooks": ["https://hooks.example.com/x"],
    "mails": ["ann@example.com"],
}


@pytest.fixture
def job(caller: Caller) -> Job:
    return make_job(app=caller.app)


def test_an_alarm_is_added_and_listed(caller: Caller, job: Job) -> None:
    made = caller.post("/api/alarm/add", jobId=job.pk, **ADDED, quietTime=600)

    assert made.code == 0, made.msg
    listed = caller.post("/api/alarm/query", jobId=job.pk).data["alarms"]
    assert listed == [made.data]
    assert made.data | {"alarmId": 0, "createTime": 0} == {
        "alarmId": 0,
        "jobId": job.pk,
        **ADDED,
        "finishWithin": 0,
        "quietTime": 600,
        "isEnabled": True,
        "createTime": 0,
        "createUser": "ann",
    }


def test_an_edit_changes_what_is_given(caller: Caller, job: Job) -> None:
    alarm_id = caller.post("/api/alarm/add", jobId=job.pk, **ADDED).data["alarmId"]

    edited = caller.post(
        "/api/alarm/edit", alarmId=alarm_id, events=["KILLED"], startWithin=0, mails=[]
    )

    assert edited.code == 0, edited.msg
    assert (edited.data["events"], edited.data["mails"]) == (["KILLED"], [])
    assert edited.data["webhooks"] == ADDED["webhooks"]


def test_an_alarm_that_is_deleted_is_gone(caller: Caller, job: Job) -> None:
    alarm_id = caller.post("/api/alarm/add", jobId=job.pk, **ADDED).data["alarmId"]

    assert caller.post("/api/alarm/delete", alarmId=alarm_id).data == {
        "alarmId": alarm_id,
        "jobId": job.pk,
    }
    assert caller.post("/api/alarm/delete", alarmId=alarm_id).msg == f"no alarm {alarm_id}"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"events": None}, "events must name at least one of FAILED, EXPIRED, KILLED"),
        ({"events": ["LATE"]}, "events[0] must be one of FAILED, EXPIRED, KILLED"),
        ({"startWithin": 0}, "startWithin must be more than 0 with the event NOT_STARTED"),
        ({"finishWithin": 9}, "finishWithin must be more than 0 with the event NOT_FINISHED"),
        ({"mails": None, "webhooks": []}, "webhooks or mails must name whom to tell"),
        ({"mails": ["ann"]}, "mails[0] must be a mail address of at most 254 characters"),
        ({"mails": ["a@b.cc\nBcc: c@d.ee"]}, "mails[0] must be a mail address"),
        ({"mails": [""]}, "mails[0] must be a mail address"),
        ({"mails": [f"a{n}@example.com" for n in range(21)]}, "mails must hold at most 20"),
        ({"webhooks": ["http://10.0.0.1/"]}, "webhooks[0] must be a public http or https address"),
        ({"webhooks": [""]}, "webhooks[0] must be a public http or https address"),
        ({"quietTime": -1}, "quietTime must be a number of seconds"),
        ({"event": "FAILED"}, "event is not a field here; did you mean events?"),
    ],
)
def test_what_is_wrong_is_named_and_nothing_is_stored(
    caller: Caller, job: Job, changes: dict[str, Any], said: str
) -> None:
    reply = caller.post("/api/alarm/add", **{"jobId": job.pk, **ADDED, **changes})

    assert reply.code == 1
    assert said in reply.msg
    assert not Alarm.objects.exists()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://169.254.169.254/latest",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://[::ffff:10.0.0.1]/",
        "http://ann:word@example.com/",
        "https://example.com:0/",
        "javascript:alert(1)",
    ],
)
def test_a_callback_to_a_private_or_odd_address_is_refused(
    caller: Caller, url: str, settings: Settings
) -> None:
    reply = caller.post(
        "/api/job/submit", jobName="x", jobType="dummy", content="{}", callbackUrl=url
    )

    assert reply.code == 1
    assert reply.msg.startswith("callbackUrl must be a public http or https address")


def test_a_private_address_is_taken_where_that_is_allowed(
    caller: Caller, settings: Settings
) -> None:
    settings.SENTINEL_CALLBACK_ALLOW_PRIVATE = True

    reply = caller.post(
        "/api/job/submit",
        jobName="x",
        jobType="dummy",
        content="{}",
        callbackUrl="http://10.0.0.1:8080/hook",
    )

    assert reply.code == 0, reply.msg


def make_delivery(job: Job, **words: Any) -> Delivery:
    plain = {
        "job": job,
        "task": make_task(job=job),
        "channel": "WEBHOOK",
        "target": "https://hooks.example.com/x",
        "payload": {},
        "once_key": f"{job.pk} {Delivery.objects.count()}",
        "state": "GIVEN_UP",
        "created_at": NOW,
        "ended_at": NOW,
    }
    return Delivery.objects.create(**{**plain, **words})


def test_deliveries_are_listed_with_every_try(caller: Caller, other: Caller, job: Job) -> None:
    delivery = make_delivery(job)
    delivery.log.create(number=1, at=NOW, took_ms=12, is_good=False, answer="500")
    make_delivery(make_job(app=other.app))

    listed = caller.post("/api/alarm/delivery/list", state="GIVEN_UP").data["deliveries"]

    (found,) = listed
    assert (found["deliveryId"], found["target"]) == (delivery.pk, delivery.target)
    assert [each["answer"] for each in found["tries"]] == ["500"]
    assert caller.post("/api/alarm/delivery/list", state="PENDING").data["deliveries"] == []


def test_a_delivery_is_sent_again(caller: Caller, other: Caller, job: Job) -> None:
    delivery = make_delivery(job)

    foreign = other.post("/api/alarm/delivery/redeliver", deliveryId=delivery.pk)
    again = caller.post("/api/alarm/delivery/redeliver", deliveryId=delivery.pk)

    assert foreign.msg == f"no delivery {delivery.pk}"
    assert again.data == {"deliveryId": delivery.pk, "state": "PENDING"}
