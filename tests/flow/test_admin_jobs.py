"""The admin page of a job: the API's own validation, and one transaction."""

from __future__ import annotations

import re

import pytest
from django.test import Client

from jobs import operators
from jobs.models import App, AuditEntry, DependencyEntry, Job
from jobs.rules.enums import CommonStrategy
from jobs.services import edit_job
from sentinel_project.errors import Refused
from tests.builders import NOW, make_app, make_job
from tests.engine import after
from tests.flow.admin_desk import fields, page_of, rows, scheduled, superuser

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk() -> Client:
    """A browser with somebody logged in who may do everything."""
    return superuser()


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
    data = fields(revision=job.revision, content="new", priority=4)
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


def test_a_page_that_somebody_elses_edit_overtook_changes_nothing(desk: Client) -> None:
    """D-85: what an edit takes away is what its author saw."""
    job = scheduled(name="nightly")
    first, second = scheduled(app=job.app), scheduled(app=job.app)
    shown = re.search(r'name="revision" value="(\d+)"', desk.get(page_of(job)).content.decode())
    assert shown
    data = fields(revision=shown[1], content="new") | rows("expressions", 1, stored_row(job))
    edit_job(job.pk, {"priority": 4}, links=[after(first)], app=job.app, user="ann", now=NOW)

    reply = desk.post(page_of(job), data)

    problem = "somebody changed the job meanwhile; reload its page and edit it again"
    assert reply.context["adminform"].form.non_field_errors() == [problem]
    stored = Job.objects.get(pk=job.pk)
    assert (stored.content, stored.priority) == ("{}", 4)
    assert [entry.upstream for entry in stored.dependencies.all()] == [first]
    with pytest.raises(Refused, match=problem):
        edit_job(
            job.pk, {}, links=[after(second)], revision=job.revision, app=job.app, user="", now=NOW
        )


def test_rows_are_added_edited_and_deleted_as_change_sets(desk: Client) -> None:
    job = scheduled(name="nightly")
    first, second = scheduled(app=job.app), scheduled(app=job.app)
    DependencyEntry.objects.create(job=job, upstream=first)
    entry = job.dependencies.get()
    data = fields(revision=job.revision)
    data |= rows(
        "expressions", 1, stored_row(job, DELETE="on"), {"kind": 1, "text": "0 0 13 * * ?"}
    )
    changed = upstream(second, id=entry.pk, job=job.pk, common_strategy=3)
    data |= rows("dependencies", 1, changed)

    assert desk.post(page_of(job), data).status_code == 302

    assert [row.text for row in job.expressions.all()] == ["0 0 13 * * ?"]
    (left,) = job.dependencies.all()
    assert (left.upstream, left.common_strategy) == (second, CommonStrategy.ANYONE)
    told = AuditEntry.objects.get()
    assert (told.action, set(told.after or {})) == ("job.edit", {"schedule", "dependencies"})


def test_a_cycle_is_refused_and_nothing_of_the_edit_is_kept(desk: Client) -> None:
    job = scheduled(name="nightly")
    below = scheduled(app=job.app)
    DependencyEntry.objects.create(job=below, upstream=job)
    data = fields(revision=job.revision, content="new") | rows(
        "expressions", 1, stored_row(job, text="0 0 14 * * ?")
    )
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
    data = fields(revision=job.revision) | rows("expressions", 1, stored_row(job))
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
    data = fields(revision=job.revision) | rows("expressions", 1, stored_row(job, DELETE="on"))
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
    data = fields(revision=job.revision) | rows("expressions", 1, stored_row(job))

    reply = desk.post(page_of(job), data | rows("dependencies", 0, upstream(job)))

    formset = reply.context["inline_admin_formsets"][1].formset
    assert "make it serial" in formset.errors[0]["upstream"][0]


def test_content_that_nobody_touched_keeps_its_line_ends(desk: Client) -> None:
    job = scheduled(name="nightly", content="a\r\nb")
    data = fields(revision=job.revision, content="a\r\nb") | rows("expressions", 1, stored_row(job))

    desk.post(page_of(job), data)

    job.refresh_from_db()
    assert job.content == "a\r\nb"
    assert not AuditEntry.objects.exists()


def test_the_operators_app_owns_no_job(desk: Client) -> None:
    ours = operators.operator()

    page = desk.get("/admin/jobs/job/add/")

    offered = page.context["adminform"].form.fields["app"].queryset
    assert ours not in offered
    assert list(offered) == list(App.objects.exclude(pk=ours.pk))
