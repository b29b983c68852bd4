"""The admin pages of alarms and grants: changed by the API's services, all of it on record."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from jobs.models import AuditEntry, Grant, Job
from jobs.rules.enums import JobStatus
from tasks_app.models import Alarm
from tests.builders import make_app, make_job
from tests.flow.admin_desk import staff, superuser
from tests.flow.notices import alarm

pytestmark = pytest.mark.django_db

ALARMS, GRANTS = "/admin/tasks_app/alarm/", "/admin/jobs/grant/"


@pytest.fixture
def desk() -> Client:
    return superuser()


@pytest.fixture
def job() -> Job:
    return make_job(app=make_app(name="owner"))


def asked(**changes: object) -> dict[str, object]:
    return {
        "events": ["FAILED", "NOT_STARTED"],
        "start_within": 600,
        "finish_within": 0,
        "quiet_for": 60,
        "webhooks": "https://hooks.example.com/a\r\n\r\n",
        "mails": "ann@example.com\r\n bob@example.com",
        "is_enabled": "on",
    } | changes


def audited() -> list[tuple[str, str]]:
    return list(AuditEntry.objects.order_by("pk").values_list("action", "user"))


def problems(reply: Any) -> dict[str, list[str]]:
    assert reply.status_code == 200
    found: dict[str, list[str]] = reply.context["adminform"].form.errors
    return found


# -- alarms ----------------------------------------------------------------------------------------


def test_an_alarm_is_added(desk: Client, job: Job) -> None:
    reply = desk.post(f"{ALARMS}add/", asked(job=job.pk))

    assert reply.status_code == 302, problems(reply)
    made = Alarm.objects.get(job=job)
    assert (made.events, made.start_within) == (["FAILED", "NOT_STARTED"], timedelta(minutes=10))
    assert (made.finish_within, made.quiet_for) == (None, timedelta(minutes=1))
    assert made.webhooks == ["https://hooks.example.com/a"]
    assert made.mails == ["ann@example.com", "bob@example.com"]
    assert (made.is_enabled, made.created_by) == (True, "olga")
    assert Job.objects.get(pk=job.pk).has_alarms
    assert audited() == [("alarm.add", "olga")]


def test_an_alarm_is_changed_and_what_is_not_changed_stays(desk: Client, job: Job) -> None:
    made = alarm(job, "FAILED", "NOT_FINISHED", finish_within=timedelta(hours=1))
    page = f"{ALARMS}{made.pk}/change/"
    form = desk.get(page).context["adminform"].form
    shown = {name: form[name].value() for name in form.fields}

    reply = desk.post(page, {**shown, "is_enabled": ""} | {"mails": "eve@example.com"})

    assert reply.status_code == 302, problems(reply)
    made.refresh_from_db()
    assert (made.events, made.mails) == (["FAILED", "NOT_FINISHED"], ["eve@example.com"])
    assert (made.finish_within, made.is_enabled) == (timedelta(hours=1), False)
    entry = AuditEntry.objects.get(action="alarm.edit")
    assert entry.before
    assert entry.after
    assert (entry.before["mails"], entry.after["mails"]) == (
        ["ann@example.com"],
        ["eve@example.com"],
    )


def test_an_alarm_keeps_its_job(desk: Client, job: Job) -> None:
    made = alarm(job, "FAILED")

    desk.post(
        f"{ALARMS}{made.pk}/change/", asked(job=make_job().pk, events=["KILLED"], start_within=0)
    )

    made.refresh_from_db()
    assert (made.job, made.events) == (job, ["KILLED"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"events": []}, "events"),
        ({"start_within": 0}, "start_within"),
        ({"finish_within": 5}, "finish_within"),
        ({"quiet_for": -1}, "quiet_for"),
        ({"webhooks": "http://127.0.0.1/"}, "webhooks"),
        ({"webhooks": "ftp://example.com/"}, "webhooks"),
        ({"mails": "nobody"}, "mails"),
        ({"mails": "\n".join(f"a{n}@example.com" for n in range(21))}, "mails"),
        ({"mails": "", "webhooks": ""}, "webhooks"),
        ({"job": 999_999}, "job"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_the_api_would_refuse_is_refused_at_its_field(
    desk: Client, job: Job, changes: dict[str, object], field: str
) -> None:
    reply = desk.post(f"{ALARMS}add/", asked(job=job.pk) | changes)

    assert list(problems(reply)) == [field]
    assert not Alarm.objects.exists()
    assert audited() == []


def test_a_trashed_job_gets_no_alarm(desk: Client, job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(status=JobStatus.TRASHED)

    reply = desk.post(f"{ALARMS}add/", asked(job=job.pk))

    assert "is TRASHED" in problems(reply)["job"][0]
    assert not Alarm.objects.exists()


def test_alarms_are_deleted(desk: Client, job: Job) -> None:
    gone, kept = alarm(job, "FAILED"), alarm(job, "KILLED")

    desk.post(ALARMS, {"action": "delete", "_selected_action": [gone.pk]})

    assert list(Alarm.objects.all()) == [kept]
    assert audited()[-1] == ("alarm.delete", "olga")


# -- grants ----------------------------------------------------------------------------------------


def test_a_grant_is_given_beside_the_others(desk: Client, job: Job) -> None:
    Grant.objects.create(job=job, app_name="old")

    reply = desk.post(f"{GRANTS}add/", {"job": job.pk, "app_name": "new"})

    assert reply.status_code == 302, problems(reply)
    assert sorted(job.grants.values_list("app_name", flat=True)) == ["new", "old"]
    entry = AuditEntry.objects.get(action="job.grant")
    assert (entry.user, entry.after) == ("olga", {"app_names": ["new", "old"]})


def test_a_grant_is_taken_away_and_the_others_stay(desk: Client, job: Job) -> None:
    gone, kept = (Grant.objects.create(job=job, app_name=name) for name in ("gone", "kept"))

    desk.post(GRANTS, {"action": "take_away", "_selected_action": [gone.pk]})

    assert list(Grant.objects.all()) == [kept]
    assert AuditEntry.objects.get(action="job.grant").after == {"app_names": ["kept"]}


@pytest.mark.parametrize("name", ["", "x" * 65, "old"])
def test_a_grant_that_is_none_is_refused(desk: Client, job: Job, name: str) -> None:
    Grant.objects.create(job=job, app_name="old")

    reply = desk.post(f"{GRANTS}add/", {"job": job.pk, "app_name": name})

    assert problems(reply)
    assert Grant.objects.count() == 1
    assert audited() == []


# -- who may ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("may", [["view_alarm", "view_grant"], []], ids=["look", "nothing"])
def test_who_may_only_look_changes_nothing(job: Job, may: list[str]) -> None:
    made, grant = alarm(job, "FAILED"), Grant.objects.create(job=job, app_name="old")
    before = audited()
    browser = staff(*may)

    replies = [
        browser.post(f"{ALARMS}add/", asked(job=job.pk)),
        browser.post(f"{ALARMS}{made.pk}/change/", asked()),
        browser.post(ALARMS, {"action": "delete", "_selected_action": [made.pk]}),
        browser.post(f"{GRANTS}add/", {"job": job.pk, "app_name": "new"}),
        browser.post(GRANTS, {"action": "take_away", "_selected_action": [grant.pk]}),
    ]

    assert {reply.status_code for reply in replies} <= {200, 302, 403}
    assert (list(Alarm.objects.all()), list(Grant.objects.all())) == ([made], [grant])
    assert audited() == before
