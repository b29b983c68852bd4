"""What is done to jobs in the admin site, and by whom; how jobs are listed (D-56, D-85)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from jobs.app_services import close_app
from jobs.models import AuditEntry, Job
from jobs.rules.enums import JobStatus
from tasks_app.models import SkipMark, Task
from tasks_app.rules.states import TaskKind
from tests.builders import NOW, make_job
from tests.flow.admin_desk import fields, page_of, scheduled, staff, superuser

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk() -> Client:
    """A browser with somebody logged in who may do everything."""
    return superuser()


def act(client: Client, job: Job, verb: str, **data: str) -> Any:
    return client.post(f"/admin/jobs/job/{job.pk}/act/", {"verb": verb, **data})


@pytest.mark.parametrize(
    ("verb", "before", "after"),
    [
        ("pause", JobStatus.ACTIVE, JobStatus.PAUSED),
        ("resume", JobStatus.PAUSED, JobStatus.ACTIVE),
        ("disable", JobStatus.ACTIVE, JobStatus.DISABLED),
        ("enable", JobStatus.DISABLED, JobStatus.ACTIVE),
        ("trash", JobStatus.ACTIVE, JobStatus.TRASHED),
        ("restore", JobStatus.TRASHED, JobStatus.DISABLED),
    ],
)
def test_status_verbs_go_through_the_service(
    desk: Client, verb: str, before: JobStatus, after: JobStatus
) -> None:
    job = scheduled(status=before)

    act(desk, job, verb)

    job.refresh_from_db()
    assert job.status == after
    assert AuditEntry.objects.get().user == "olga"


def test_a_trashed_job_whose_name_is_taken_stays_in_the_trash(desk: Client) -> None:
    job = scheduled(name="nightly", status=JobStatus.TRASHED)
    make_job(app=job.app, name="nightly")

    act(desk, job, "restore")

    job.refresh_from_db()
    assert job.status == JobStatus.TRASHED
    assert "rename" in str(desk.get(page_of(job)).content)


def test_a_trashed_job_of_an_app_that_was_deleted_stays_in_the_trash(desk: Client) -> None:
    """D-80: it would run for nobody."""
    job = scheduled(status=JobStatus.TRASHED, app__name="billing")
    close_app(job.app, by=None, user="ann", now=NOW)

    act(desk, job, "restore")

    job.refresh_from_db()
    assert job.status == JobStatus.TRASHED
    assert "app billing was deleted" in str(desk.get(page_of(job)).content)


def test_a_job_that_is_in_use_cannot_be_restored(desk: Client) -> None:
    job = scheduled(status=JobStatus.ACTIVE)

    act(desk, job, "restore")

    job.refresh_from_db()
    assert job.status == JobStatus.ACTIVE


def test_a_trashed_job_can_only_be_looked_at(desk: Client) -> None:
    job = scheduled(name="nightly", status=JobStatus.TRASHED)

    assert "can_act" in desk.get(page_of(job)).context
    assert not desk.get(page_of(job)).context["can_act"]
    assert desk.post(page_of(job), fields()).status_code == 403
    act(desk, job, "enable")

    job.refresh_from_db()
    assert job.status == JobStatus.TRASHED


def test_run_now_opens_a_manual_task_in_the_operators_name(desk: Client) -> None:
    job = scheduled()

    act(desk, job, "run")

    task = Task.objects.get()
    assert (task.job, task.kind, task.execute_user) == (job, TaskKind.MANUAL, "olga")


def test_a_coming_run_is_skipped_with_a_reason(desk: Client) -> None:
    job = scheduled()
    slots = desk.get(page_of(job)).context["slots"]

    act(desk, job, "skip", due_at=slots[1][0], reason="holiday")

    mark = SkipMark.objects.get()
    assert mark.due_at == datetime.fromisoformat(slots[1][0])
    assert (mark.user, mark.reason) == ("olga", "holiday")


@pytest.mark.parametrize("due_at", ["", "soon", "2026-03-04T12:00:00", "2999-01-01T00:00:01+00:00"])
def test_a_skip_of_what_is_no_run_marks_nothing(desk: Client, due_at: str) -> None:
    reply = act(desk, scheduled(), "skip", due_at=due_at)

    assert reply.status_code == 302
    assert not SkipMark.objects.exists()


def test_a_selection_is_answered_job_by_job(desk: Client) -> None:
    job, one_off = scheduled(), make_job(is_one_off=True)
    data = {"action": "run", "index": "0", "_selected_action": [job.pk, one_off.pk]}

    reply = desk.post("/admin/jobs/job/", data, follow=True)

    told = [str(message) for message in reply.context["messages"]]
    assert told[0] == f"{job.name}: done"
    assert "is a one-off" in told[1]
    assert Task.objects.get().job == job


# -- who may ---------------------------------------------------------------------------------------


def test_whoever_may_only_look_changes_nothing() -> None:
    job = scheduled(name="nightly")
    viewer = staff("view_job")

    assert viewer.get(page_of(job)).status_code == 200
    assert viewer.post(page_of(job), fields(content="new")).status_code == 403
    assert viewer.get("/admin/jobs/job/add/").status_code == 403
    assert act(viewer, job, "trash").status_code == 403
    data = {"action": "disable", "index": "0", "_selected_action": [job.pk]}
    viewer.post("/admin/jobs/job/", data)

    job.refresh_from_db()
    assert (job.status, job.content) == (JobStatus.ACTIVE, "{}")


def test_verbs_are_no_links(desk: Client) -> None:
    job = scheduled()

    assert desk.get(f"/admin/jobs/job/{job.pk}/act/?verb=trash").status_code == 405


def test_a_forged_request_is_refused(desk: Client) -> None:
    job = scheduled()
    forged = Client(enforce_csrf_checks=True)
    forged.cookies = desk.cookies

    assert act(forged, job, "trash").status_code == 403
    assert forged.post(page_of(job), fields()).status_code == 403
    job.refresh_from_db()
    assert job.status == JobStatus.ACTIVE


def test_names_are_escaped_wherever_they_are_shown(desk: Client) -> None:
    evil = "<script>alert(1)</script>"
    job = scheduled(name=evil, department=evil, content=evil)

    for address in ("/admin/jobs/job/", page_of(job), "/admin/"):
        body = desk.get(address).content.decode()
        assert evil not in body
        assert "&lt;script&gt;alert(1)" in body


# -- lists -----------------------------------------------------------------------------------------


def test_jobs_are_filtered_by_the_status_that_everybody_reads(desk: Client) -> None:
    active, over = scheduled(), scheduled(active_until=NOW)

    def shown(status: JobStatus) -> list[Job]:
        reply = desk.get(f"/admin/jobs/job/?status={status.value}")
        return list(reply.context["cl"].queryset)

    assert shown(JobStatus.EXPIRED) == [over]
    assert shown(JobStatus.ACTIVE) == [active]


def test_a_job_is_found_by_name_and_by_id(desk: Client) -> None:
    job, _ = scheduled(name="load orders"), scheduled(name="other")

    for words in ("orders", str(job.pk)):
        reply = desk.get("/admin/jobs/job/", {"q": words})
        assert job in reply.context["cl"].queryset
