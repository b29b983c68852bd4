"""Edits of a job's content and policies: validated, audited, and followed by what waits (D-59)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from jobs.models import AuditEntry, Job, WorkerGroup
from jobs.rules.enums import ExpressionKind, JobStatus
from jobs.rules.spec import DependencyEdit, JobSpec, ScheduleEdit
from jobs.services import edit_job, submit_job
from sentinel_project.errors import InvalidParameters, NotFound, Refused
from tasks_app.models import Event
from tasks_app.rules.states import TaskStatus
from tests.builders import NOW, make_app, make_job, make_task

pytestmark = pytest.mark.django_db

DAILY = ScheduleEdit(text="0 0 12 * * ?")
LATER = NOW + timedelta(days=1)


def submitted(**words: object) -> Job:
    spec = JobSpec(name="daily", job_type="dummy", content="{}", schedule=(DAILY,))
    for name, value in words.items():
        object.__setattr__(spec, name, value)
    return submit_job(spec, app=make_app(), user="ann", now=NOW)


def edited(job: Job, *, now: datetime = LATER, **changes: object) -> Job:
    edit_job(job.pk, changes, app=job.app, user="bob", now=now)
    return Job.objects.get(pk=job.pk)


def cursor(job: Job) -> datetime | None:
    return job.expressions.get().next_due_at


def test_changed_fields_are_kept_audited_and_looked_at_again() -> None:
    job = submitted()
    Event.objects.all().delete()

    after = edited(job, content="new", max_retries=0, retry_interval=timedelta(seconds=9))

    assert (after.content, after.retry_interval, after.updated_at) == (
        "new",
        timedelta(seconds=9),
        LATER,
    )
    entry = AuditEntry.objects.get(action="job.edit")
    assert entry.before == {"content": "{}", "retry_interval": 3.0}
    assert entry.after == {"content": "new", "retry_interval": 9.0}
    assert (entry.user, entry.app) == ("bob", job.app)
    assert Event.objects.filter(job=job).exists()


def test_an_edit_to_what_is_already_so_leaves_no_trace() -> None:
    job = submitted()

    after = edited(job, content="{}", priority=1)

    assert after.updated_at == NOW
    assert not AuditEntry.objects.filter(action="job.edit").exists()


@pytest.mark.parametrize("name", ["status", "is_one_off", "floor_at"])
def test_status_and_kind_are_not_edited(name: str) -> None:
    job = submitted()

    with pytest.raises(InvalidParameters, match=f"{name}: it cannot be edited"):
        edit_job(job.pk, {name: 1}, app=job.app, user="bob", now=LATER)


def test_the_owner_of_a_job_stays_whose_it_is() -> None:
    job = submitted()

    edited(job, app_name=job.app.name)
    with pytest.raises(InvalidParameters, match=r"appName: the job is .*, and stays it"):
        edited(job, app_name="other")


def test_an_edit_is_judged_like_a_submission_and_refused_whole() -> None:
    job = submitted()
    make_job(app=job.app, name="taken")

    with pytest.raises(InvalidParameters) as refusal:
        edited(job, name="taken", priority=99, worker_group_id=77, content="new")

    assert [problem.partition(":")[0] for problem in refusal.value.problems] == [
        "jobName",
        "priority",
        "workerGroupId",
    ]
    assert Job.objects.get(pk=job.pk).content == "{}"


def test_a_ceiling_that_was_lowered_since_does_not_forbid_other_edits() -> None:
    job = submitted(priority=5)
    job.app.max_priority = 1
    job.app.save()

    assert edited(job, content="new").content == "new"


def test_another_apps_job_is_unknown_and_a_trashed_one_final() -> None:
    job = submitted()
    trashed = make_job(app=job.app, status=JobStatus.TRASHED)

    with pytest.raises(NotFound):
        edit_job(job.pk, {"content": "new"}, app=make_app(), user="eve", now=LATER)
    with pytest.raises(Refused):
        edited(trashed, content="new")


def test_what_has_not_started_follows_and_what_runs_does_not() -> None:
    job = submitted()
    group = WorkerGroup.objects.create(name="fast")
    words = {"job": job, "expires_at": NOW + timedelta(days=9)}
    ready = make_task(TaskStatus.READY, rung_at=NOW, ring_count=1, **words)
    running = make_task(TaskStatus.RUNNING, **words)

    edited(job, worker_group_id=group.pk, priority=7, expire_after=timedelta(hours=1))

    for task in (ready, running):
        task.refresh_from_db()
    assert (ready.worker_group_id, ready.priority, ready.rung_at) == (group.pk, 7, None)
    assert ready.expires_at == ready.due_at + timedelta(hours=1)
    assert (running.worker_group_id, running.priority) == (1, 1)
    assert running.expires_at == NOW + timedelta(days=9)


def test_what_an_operator_asked_for_still_never_expires() -> None:
    job = submitted(expire_after=timedelta(0))
    asked = make_task(TaskStatus.READY, job=job, is_asked=True)
    filled = make_task(TaskStatus.WAITING, job=job)

    edited(job, expire_after=timedelta(hours=1))

    for task in (asked, filled):
        task.refresh_from_db()
        assert task.expires_at is None


def test_another_zone_moves_the_next_slot() -> None:
    job = submitted()
    assert cursor(job) == datetime(2026, 3, 4, 4, tzinfo=UTC)

    edited(job, now=NOW, time_zone="UTC")

    assert cursor(job) == datetime(2026, 3, 4, 12, tzinfo=UTC)
    assert job.expressions.get().floor_at == NOW


def test_a_later_start_moves_the_next_slot_and_an_end_takes_it_away() -> None:
    job = submitted()

    edited(job, now=NOW, active_from=datetime(2026, 4, 1, tzinfo=UTC))
    assert cursor(job) == datetime(2026, 4, 1, 4, tzinfo=UTC)

    edited(job, now=NOW, active_from=None, active_until=datetime(2026, 3, 4, 2, tzinfo=UTC))
    assert cursor(job) is None


def test_slots_that_were_missed_stay_owed_through_a_change_of_the_end() -> None:
    job = submitted(status=JobStatus.PAUSED)

    edited(job, now=NOW + timedelta(days=3), active_until=datetime(2026, 5, 1, tzinfo=UTC))

    assert cursor(job) == datetime(2026, 3, 4, 4, tzinfo=UTC)


def test_a_window_that_is_opened_again_owes_nothing_of_the_time_between() -> None:
    job = submitted(active_until=NOW + timedelta(days=1))
    job.expressions.update(next_due_at=None)
    reopened_at = NOW + timedelta(days=5)

    edited(job, now=reopened_at, active_until=None)

    assert cursor(job) == datetime(2026, 3, 9, 4, tzinfo=UTC)
    assert job.expressions.get().floor_at == reopened_at


def test_an_expiry_that_kills_a_dependency_is_refused() -> None:
    upstream = submitted()
    child = submit_job(
        JobSpec(
            name="child",
            job_type="dummy",
            content="{}",
            dependencies=(DependencyEdit(upstream_id=upstream.pk),),
            schedule=(ScheduleEdit(kind=ExpressionKind.CRON, text="0 0 1 * * ?"),),
        ),
        app=upstream.app,
        user="ann",
        now=NOW,
    )

    with pytest.raises(InvalidParameters, match="raise expiredTime"):
        edited(child, expire_after=timedelta(minutes=1))

    assert Job.objects.get(pk=child.pk).expire_after == timedelta(days=1)
