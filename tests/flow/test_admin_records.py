"""What the admin site lists, to read, and its dashboard with the switch (D-60, D-81, D-85)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from jobs.models import AuditEntry
from jobs.operators import operator
from sentinel_project import clock
from tasks_app import schedulers, workers
from tasks_app.models import DailySum, Delivery, Event, Gap, SystemState, Task
from tasks_app.rules.states import TaskStatus
from tasks_app.services import retry_tasks
from tests.api.test_alarms import make_delivery
from tests.builders import NOW, make_job, make_task
from tests.flow.admin_desk import staff, superuser

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk() -> Client:
    """A browser with somebody logged in who may do everything."""
    return superuser()


def test_tasks_are_filtered_and_found_by_id(desk: Client) -> None:
    failed, waiting = make_task(TaskStatus.FAILED), make_task(TaskStatus.WAITING)

    def shown(**query: object) -> list[Task]:
        words = {name: str(value) for name, value in query.items()}
        return list(desk.get("/admin/tasks_app/task/", words).context["cl"].queryset)

    assert shown(status__exact=5) == [failed]
    assert shown(job=waiting.job_id) == [waiting]
    assert shown(job__app__id__exact=failed.job.app_id) == [failed]
    assert shown(q=failed.pk) == [failed]
    assert shown(q=waiting.job.name) == [waiting]
    assert shown(q="9" * 40) == []


@pytest.mark.parametrize(
    "model",
    [
        *("attempt", "gap", "event", "worker", "scheduler", "systemstate", "task"),
        *("delivery", "dailysum"),
    ],
)
def test_records_are_read_only(desk: Client, model: str) -> None:
    task = make_task(TaskStatus.FAILED)
    Event.objects.create(job=task.job, created_at=NOW)
    Gap.objects.create(
        job=task.job, from_at=NOW, to_at=NOW, count=1, reason="CAPPED", created_at=NOW
    )

    DailySum.objects.create(job=task.job, kind="SCHEDULE", day=NOW.date(), success=2)

    assert desk.get(f"/admin/tasks_app/{model}/").status_code == 200
    assert desk.get(f"/admin/tasks_app/{model}/add/").status_code == 403


def test_the_gaps_of_one_job_are_listed(desk: Client) -> None:
    words: dict[str, Any] = {"from_at": NOW, "to_at": NOW, "count": 1, "created_at": NOW}
    ours, _ = (Gap.objects.create(job=make_job(), reason="CAPPED", **words) for _ in range(2))

    reply = desk.get("/admin/tasks_app/gap/", {"job__id__exact": ours.job_id})

    assert list(reply.context["cl"].queryset) == [ours]


def test_events_are_the_unprocessed_ones_unless_asked_otherwise(desk: Client) -> None:
    job = make_job()
    left = Event.objects.create(job=job, created_at=NOW)
    done = Event.objects.create(job=job, created_at=NOW, processed_at=NOW)

    def shown(query: str) -> set[Event]:
        return set(desk.get(f"/admin/tasks_app/event/{query}").context["cl"].queryset)

    assert shown("") == {left}
    assert shown("?processed=yes") == {done}
    assert shown("?processed=all") == {left, done}


def test_the_audit_log_cannot_be_edited(desk: Client) -> None:
    retry_tasks([make_task(TaskStatus.FAILED).pk], app=operator(), user="olga", now=NOW)
    entry = AuditEntry.objects.get()
    address = f"/admin/jobs/auditentry/{entry.pk}/"

    assert desk.get(f"{address}change/").status_code == 200
    assert desk.post(f"{address}change/", {"user": "nobody"}).status_code == 403
    assert desk.post(f"{address}delete/", {"post": "yes"}).status_code == 403
    assert AuditEntry.objects.get().user == "olga"


def test_the_dead_are_told_from_the_living(desk: Client) -> None:
    now = clock.now()
    for name, heard_at in (("w-new", now), ("w-old", now - timedelta(minutes=5))):
        registration = workers.Registration(
            name=name, host="h", pid=1, pool="threads", slots=4, group_ids=[1], containment=""
        )
        workers.register(registration, now=heard_at)
    schedulers.beat("s-old", now=now - timedelta(minutes=5))

    page = desk.get("/admin/tasks_app/worker/").content.decode()
    dashboard = desk.get("/admin/")

    assert page.count("not alive") == 1
    assert "not alive" in desk.get("/admin/tasks_app/scheduler/").content.decode()
    assert [worker.name for worker in dashboard.context["workers"]] == ["w-new"]
    assert list(dashboard.context["schedulers"]) == []


# -- the dashboard ---------------------------------------------------------------------------------

SWITCH = "/admin/tasks_app/systemstate/switch/"


def test_the_dashboard_counts_what_is_open_and_what_ended_today(desk: Client) -> None:
    now = clock.now()
    make_task(TaskStatus.READY)
    make_task(TaskStatus.FAILED, ended_at=now - timedelta(hours=1))
    make_task(TaskStatus.FAILED, ended_at=now - timedelta(hours=30))

    counts = {name: number for name, number, _ in desk.get("/admin/").context["counts"]}

    assert counts == {
        "running": 0,
        "ready": 1,
        "waiting": 0,
        "failed in 24 h": 1,
        "succeeded in 24 h": 0,
    }


def test_everything_is_paused_and_resumed_and_that_is_audited(desk: Client) -> None:
    for verb, is_paused in (("pause", True), ("pause", True), ("resume", False)):
        desk.post(SWITCH, {"verb": verb})
        assert SystemState.objects.get().is_paused is is_paused

    entries = AuditEntry.objects.filter(action="system.pause").order_by("pk")
    assert [(entry.user, entry.after) for entry in entries] == [
        ("olga", {"is_paused": True}),
        ("olga", {"is_paused": False}),
    ]


def test_the_switch_is_for_those_who_may() -> None:
    viewer = staff("view_task", "view_systemstate")

    assert "Pause everything" not in viewer.get("/admin/").content.decode()
    assert viewer.post(SWITCH, {"verb": "pause"}).status_code == 403
    assert not SystemState.objects.get().is_paused


def test_the_switch_is_no_link_and_cannot_be_forged(desk: Client) -> None:
    forged = Client(enforce_csrf_checks=True)
    forged.cookies = desk.cookies

    assert desk.get(f"{SWITCH}?verb=pause").status_code == 405
    assert forged.post(SWITCH, {"verb": "pause"}).status_code == 403
    assert not SystemState.objects.get().is_paused


def test_the_dashboard_and_sidebar_show_only_what_one_may_see() -> None:
    page = staff("view_worker").get("/admin/")

    assert "counts" not in page.context
    assert "next_due" not in page.context
    links = [
        item["title"] for group in page.context["sidebar_navigation"] for item in group["items"]
    ]
    assert links == ["Dashboard", "Workers"]


def test_a_delivery_is_sent_again_by_whoever_may_change_deliveries() -> None:
    delivery = make_delivery(make_job())
    delivery.log.create(number=1, at=NOW, took_ms=5, is_good=False, answer="500 <b>no</b>")
    words = {"action": "redeliver", "_selected_action": [delivery.pk]}
    page = f"/admin/tasks_app/delivery/{delivery.pk}/change/"

    looker = staff("view_delivery")
    assert "500 &lt;b&gt;no&lt;/b&gt;" in looker.get(page).content.decode()
    looker.post("/admin/tasks_app/delivery/", words)
    assert Delivery.objects.get().state == "GIVEN_UP"

    User.objects.all().delete()
    staff("view_delivery", "change_delivery").post("/admin/tasks_app/delivery/", words)
    assert Delivery.objects.get().state == "PENDING"
