"""The admin page of a job: the API's own validation, one transaction, and who may do what."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client

from jobs import operators
from jobs.models import App, AuditEntry, DependencyEntry, Job, ScheduleExpression
from jobs.rules.enums import CommonStrategy, ExpressionKind, JobStatus
from tasks_app.models import SkipMark, Task
from tasks_app.rules.states import TaskKind
from tests.builders import NOW, make_app, make_job
from tests.flow.admin_desk import staff, superuser

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk() -> Client:
    """A browser with somebody logged in who may do everything."""
    return superuser()


def scheduled(text: str = "0 0 12 * * ?", **words: Any) -> Job:
    job = make_job(**words)
    ScheduleExpression.objects.create(
        job=job,
        kind=ExpressionKind.CRON,
        text=text,
        anchor_at=NOW,
        floor_at=NOW,
        next_due_at=datetime(2026, 3, 4, 4, tzinfo=UTC),
    )
    return job


def rows(prefix: str, stored: int, *forms: dict[str, object]) -> dict[str, object]:
    found: dict[str, object] = {
        f"{prefix}-TOTAL_FORMS": len(forms),
        f"{prefix}-INITIAL_FORMS": stored,
    }
    for index, form in enumerate(forms):
        found |= {f"{prefix}-{index}-{name}": value for name, value in form.items()}
    return found


def fields(**changes: object) -> dict[str, object]:
    return {
        "name": "nightly",
        "job_type": "dummy",
        "content_type": 1,
        "content": "{}",
        "extra": "{}",
        "worker_group": 1,
        "priority": 1,
        "max_retries": 0,
        "retry_interval": 3,
        "expire_after": 86400,
        "timeout": 0,
        "misfire_policy": "all",
        "time_zone": "Asia/Shanghai",
        **rows("expressions", 0),
        **rows("dependencies", 0),
    } | changes


def page_of(job: Job) -> str:
    return f"/admin/jobs/job/{job.pk}/change/"


def stored_row(job: Job, **changes: object) -> dict[str, object]:
    row = job.expressions.get()
    return {"id": row.pk, "job": job.pk, "kind": row.kind, "text": row.text} | changes


def upstream(of: Job, **changes: object) -> dict[str, object]:
    return {"upstream": of.pk, "common_strategy": 1, "offset": "cd"} | changes


# -- submit ----------------------------------------------------------------------------------------


def test_a_job_is_submitted_whole_with_its_schedule_and_dependencies(desk: Client) -> None:
    owner = make_app(name="billing")
    above = scheduled(app=owner)
    data = fields(app=owner.pk, status=1, content="a\r\nb\r\n", is_serial="on", is_shared="on")
    data |= rows("expressions", 0, {"kind": 1, "text": "0 30 12 * * ?"})
    data |= rows("dependencies", 0, upstream(above))

    reply = desk.post("/admin/jobs/job/add/", data)

    assert reply.status_code == 302
    job = Job.objects.get(name="nightly")
    assert (job.app, job.created_by, job.content) == (owner, "olga", "a\nb\n")
    assert (job.is_serial, job.is_shared) == (True, True)
    assert [row.text for row in job.expressions.all()] == ["0 30 12 * * ?"]
    assert [entry.upstream for entry in job.dependencies.all()] == [above]
    entry = AuditEntry.objects.get(action="job.submit")
    assert (entry.app, entry.user, entry.address) == (operators.operator(), "olga", "127.0.0.1")


def test_a_refused_submission_says_why_at_each_field_and_stores_nothing(desk: Client) -> None:
    owner = make_app()
    data = fields(app=owner.pk, status=1, max_retries=500, priority=11, biz_groups="x")
    data |= rows("expressions", 0, {"kind": 1, "text": "0 0 12 * *  1 2 3 4"})

    reply = desk.post("/admin/jobs/job/add/", data)

    form = reply.context["adminform"].form
    assert set(form.errors) == {"max_retries", "priority", "biz_groups"}
    schedule = reply.context["inline_admin_formsets"][0].formset
    assert "a correct example" in schedule.errors[0]["text"][0]
    assert not Job.objects.exists()


def test_what_only_the_service_knows_is_told_at_the_field_too(desk: Client) -> None:
    owner = make_app(max_priority=3)
    make_job(app=owner, name="nightly")

    reply = desk.post("/admin/jobs/job/add/", fields(app=owner.pk, status=1, priority=5))

    form = reply.context["adminform"].form
    assert set(form.errors) == {"name", "priority"}
    assert Job.objects.count() == 1


# -- edit ------------------------------------------------------------------------------------------


def test_an_edit_sends_only_what_changed(desk: Client) -> None:
    job = scheduled(name="nightly")
    other = scheduled(app=job.app)
    DependencyEntry.objects.create(job=job, upstream=other)
    entry = job.dependencies.get()
    before = job.expressions.get()
    data = fields(content="new", priority=4)
    data |= rows("expressions", 1, stored_row(job))
    data |= rows("dependencies", 1, upstream(other, id=entry.pk, job=job.pk))

    assert desk.post(page_of(job), data).status_code == 302

    job.refresh_from_db()
    assert (job.content, job.priority) == ("new", 4)
    after = job.expressions.get()
    assert (after.pk, after.floor_at, after.next_due_at) == (
        before.pk,
        before.floor_at,
        before.next_due_at,
    )
    (audited,) = AuditEntry.objects.all()
    assert audited.action == "job.edit"
    assert audited.after == {"content": "new", "priority": 4}


def test_rows_are_added_edited_and_deleted_as_change_sets(desk: Client) -> None:
    job = scheduled(name="nightly")
    first, second = scheduled(app=job.app), scheduled(app=job.app)
    DependencyEntry.objects.create(job=job, upstream=first)
    entry = job.dependencies.get()
    data = fields()
    data |= rows(
        "expressions", 1, stored_row(job, DELETE="on"), {"kind": 1, "text": "0 0 13 * * ?"}
    )
    changed = upstream(second, id=entry.pk, job=job.pk, common_strategy=3)
    data |= rows("dependencies", 1, changed)

    assert desk.post(page_of(job), data).status_code == 302

    assert [row.text for row in job.expressions.all()] == ["0 0 13 * * ?"]
    (left,) = job.dependencies.all()
    assert (left.upstream, left.common_strategy) == (second, CommonStrategy.ANYONE)
    actions = set(AuditEntry.objects.values_list("action", flat=True))
    assert actions == {"job.schedule", "job.dependencies"}


def test_a_cycle_is_refused_and_nothing_of_the_edit_is_kept(desk: Client) -> None:
    job = scheduled(name="nightly")
    below = scheduled(app=job.app)
    DependencyEntry.objects.create(job=below, upstream=job)
    data = fields(content="new") | rows("expressions", 1, stored_row(job, text="0 0 14 * * ?"))
    data |= rows("dependencies", 0, upstream(below))

    reply = desk.post(page_of(job), data)

    dependencies = reply.context["inline_admin_formsets"][1].formset
    assert "would wait for itself" in str(dependencies.non_form_errors())
    job.refresh_from_db()
    assert job.content == "{}"
    assert job.expressions.get().text == "0 0 12 * * ?"
    assert not job.dependencies.exists()
    assert not AuditEntry.objects.exists()


def test_a_dead_dependency_is_told_in_its_row(desk: Client) -> None:
    job = scheduled(name="nightly")
    rare = scheduled("0 0 12 1 1 ? 2090", app=job.app)
    data = fields() | rows("expressions", 1, stored_row(job))
    data |= rows("dependencies", 0, upstream(rare))

    reply = desk.post(page_of(job), data)

    formset = reply.context["inline_admin_formsets"][1].formset
    assert "holds no run" in formset.errors[0]["offset"][0]


def test_the_last_expression_goes_as_a_naming_dependency_comes(desk: Client) -> None:
    """Either change alone would be refused or is needed first (D-36)."""
    job = scheduled(name="nightly")
    first, second = scheduled(app=job.app), scheduled(app=job.app)
    DependencyEntry.objects.create(job=job, upstream=first, offset="d(-1)")
    entry = job.dependencies.get()
    data = fields() | rows("expressions", 1, stored_row(job, DELETE="on"))
    data |= rows(
        "dependencies",
        1,
        upstream(first, id=entry.pk, job=job.pk, offset="d(-1)"),
        upstream(second),
    )

    reply = desk.post(page_of(job), data)

    assert reply.status_code == 302
    assert not job.expressions.exists()
    assert job.dependencies.count() == 2


def test_a_job_cannot_be_its_own_upstream(desk: Client) -> None:
    job = scheduled(name="nightly")
    data = fields() | rows("expressions", 1, stored_row(job))

    reply = desk.post(page_of(job), data | rows("dependencies", 0, upstream(job)))

    formset = reply.context["inline_admin_formsets"][1].formset
    assert "make it serial" in formset.errors[0]["upstream"][0]


def test_content_that_nobody_touched_keeps_its_line_ends(desk: Client) -> None:
    job = scheduled(name="nightly", content="a\r\nb")
    data = fields(content="a\r\nb") | rows("expressions", 1, stored_row(job))

    desk.post(page_of(job), data)

    job.refresh_from_db()
    assert job.content == "a\r\nb"
    assert not AuditEntry.objects.exists()


# -- verbs -----------------------------------------------------------------------------------------


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


# -- the editor ------------------------------------------------------------------------------------


def preview(client: Client, **words: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"kind": 1, "text": "0 30 2 * * ?", "zone": "Europe/Berlin"} | words
    answer: dict[str, Any] = client.get("/admin/jobs/job/preview/", asked).json()
    return answer


def test_the_editor_shows_five_runs_in_zone_and_utc_with_a_sentence(desk: Client) -> None:
    answer = preview(desk)

    assert answer["valid"] is True
    assert answer["sentence"].startswith("at 02:30 every day")
    assert len(answer["times"]) == 5
    assert all(time["local"].endswith(" 02:30:00") for time in answer["times"][:1])
    assert set(answer["times"][0]) == {"local", "utc", "note"}


def test_the_editor_notes_where_clocks_change(desk: Client) -> None:
    answer = preview(desk, text="0 30 2 L 3 ?", zone="Europe/Berlin")
    sundays = preview(desk, text="0 30 2 ? 3 7L")

    assert any(time["note"] is None for time in answer["times"])
    assert all("clocks go forward" in time["note"] for time in sundays["times"])


@pytest.mark.parametrize(
    "words",
    [
        {"text": "0 0 12 * *  x"},
        {"text": ""},
        {"kind": ""},
        {"kind": "9"},
        {"kind": "99999999999"},
        {"zone": "Mars/Base"},
        {"text": "0" * 5000},
        {"text": "0 0 0 30 2 ?"},
    ],
)
def test_the_editor_says_what_is_wrong(desk: Client, words: dict[str, str]) -> None:
    answer = preview(desk, **words)

    assert answer["valid"] is False
    assert answer["msg"]


def test_an_unchanged_rate_goes_on_from_its_anchor(desk: Client) -> None:
    job = make_job()
    row = ScheduleExpression.objects.create(
        job=job, kind=ExpressionKind.RATE, text="d(1)", anchor_at=NOW, floor_at=NOW
    )

    kept = preview(desk, kind=2, text="d(1)", id=row.pk, zone="UTC")
    anew = preview(desk, kind=2, text="d(2)", id=row.pk, zone="UTC")

    assert kept["times"][0]["utc"].endswith(f"{NOW:%H:%M:%S}")
    assert datetime.fromisoformat(anew["times"][0]["utc"]) > NOW.replace(tzinfo=None) + timedelta(1)


def test_the_editor_is_for_those_who_may_see_jobs() -> None:
    assert staff("view_task").get("/admin/jobs/job/preview/").status_code == 403
    assert Client().get("/admin/jobs/job/preview/").status_code == 302


def test_the_operators_app_owns_no_job(desk: Client) -> None:
    ours = operators.operator()

    page = desk.get("/admin/jobs/job/add/")

    offered = page.context["adminform"].form.fields["app"].queryset
    assert ours not in offered
    assert list(offered) == list(App.objects.exclude(pk=ours.pk))
