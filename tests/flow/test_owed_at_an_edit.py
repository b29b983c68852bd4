"""What had come and was not opened when its schedule is edited lies in a gap (I1, D-57)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from jobs.models import App, Job, ScheduleExpression, new_revision
from jobs.rules.enums import Edit, ExpressionKind, JobStatus
from jobs.rules.spec import ScheduleEdit
from jobs.services import edit_job, schedules, set_schedule, set_status
from tasks_app import services
from tasks_app.explain import explain
from tasks_app.models import Gap, Task
from tasks_app.verify import verify
from tests.builders import make_app
from tests.engine import ANN, at, cron, delay, submit, tick

pytestmark = pytest.mark.django_db

START, EDITED = at("2 00:00"), at("2 00:03:30")
MINUTELY, HOURLY = cron("0 * * * * ?"), cron("0 0 * * * ?")


@pytest.fixture
def app(db: None) -> App:
    return make_app(kind="ADMIN")


@pytest.fixture
def job(app: App) -> Job:
    """A job of each minute that is set aside; its slots of 00:01 on are owed."""
    job = submit(app, "job", now=START, schedule=(MINUTELY,))
    tick(START)
    spell(job, "d(0)", ExpressionKind.RATE)
    tick(at("2 00:01"))
    assert ScheduleExpression.objects.get(job=job).fault
    return job


def spell(job: Job, text: str, kind: ExpressionKind = ExpressionKind.CRON) -> None:
    """Have the release that runs read the expression as ``text``, without an edit."""
    ScheduleExpression.objects.filter(job=job).update(text=text, kind=kind)
    Job.objects.filter(pk=job.pk).update(revision=new_revision())


def edit(job: Job, app: App, *, mode: Edit = Edit.EDIT, now: datetime = EDITED) -> None:
    row = job.expressions.order_by("pk")[0]
    change = ScheduleEdit(mode=mode, expression_id=row.pk, kind=HOURLY.kind, text=HOURLY.text)
    set_schedule(job.pk, [change], app=app, user=ANN, now=now)


def gaps() -> list[tuple[datetime, datetime, int, str, str]]:
    words = ("from_at", "to_at", "count", "reason", "schedule_text")
    return list(Gap.objects.order_by("pk").values_list(*words))


def dues_of(job: Job) -> list[datetime]:
    rows = Task.objects.filter(job=job, due_at__gt=START).order_by("due_at")
    return list(rows.values_list("due_at", flat=True))


OWED = (at("2 00:01"), at("2 00:03"), 3, "EDITED", MINUTELY.text)


@pytest.mark.parametrize("mode", [Edit.EDIT, Edit.DELETE], ids=["edited", "deleted"])
def test_what_was_set_aside_and_can_be_read_leaves_its_slots_in_a_gap(
    app: App, job: Job, mode: Edit
) -> None:
    spell(job, MINUTELY.text)

    edit(job, app, mode=mode)
    tick(at("2 01:00"))

    assert gaps() == [OWED]
    assert dues_of(job) == ([at("2 01:00")] if mode is Edit.EDIT else [])
    (slot,) = [gate for gate in explain(job, at("2 00:02"), None, now=EDITED) if gate.is_blocking]
    assert slot.text.startswith("it was not opened: EDITED (an edit of the schedule came first")
    assert verify(now=at("2 01:00")).is_well


@pytest.mark.parametrize(
    "change",
    [{"time_zone": "Asia/Kolkata"}, {"active_from": at("1 00:00")}],
    ids=["zone", "window"],
)
def test_fields_that_have_the_schedule_begin_anew_leave_such_a_gap_as_well(
    app: App, change: dict[str, object]
) -> None:
    words = {"active_from": START, "time_zone": "UTC"}
    late = submit(app, "late", now=START, schedule=(MINUTELY,), **words)
    tick(START)

    edit_job(late.pk, change, app=app, user=ANN, now=EDITED)
    tick(at("2 00:04"))

    assert gaps() == [OWED]
    assert dues_of(late) == [at("2 00:04")]
    assert verify(now=at("2 00:04")).is_well


def test_fields_that_leave_slots_where_they_are_leave_no_gap(app: App) -> None:
    late = submit(app, "late", now=START, schedule=(MINUTELY,))
    tick(START)

    edit_job(late.pk, {"active_until": at("3 00:00")}, app=app, user=ANN, now=EDITED)
    tick(at("2 00:04"))

    assert gaps() == []
    assert dues_of(late) == [at(f"2 00:0{minute}") for minute in range(1, 5)]


def test_such_slots_can_be_filled(app: App, job: Job) -> None:
    spell(job, MINUTELY.text)
    edit(job, app)

    services.fill_gaps(job.pk, at("2 00:02"), at("2 00:02"), app=app, user=ANN, now=EDITED)

    assert dues_of(job) == [at("2 00:02")]
    assert [gap[:3] for gap in gaps()] == [
        (at("2 00:01"), at("2 00:01"), 1),
        (at("2 00:03"), at("2 00:03"), 1),
    ]


def test_of_a_text_that_cannot_be_read_the_slot_of_its_cursor_is_known(app: App, job: Job) -> None:
    edit(job, app)

    assert gaps() == [(at("2 00:01"), at("2 00:01"), 1, "EDITED", "")]
    services.fill_gaps(job.pk, START, EDITED, app=app, user=ANN, now=EDITED)
    assert dues_of(job) == [at("2 00:01")]


@pytest.mark.parametrize("status", [JobStatus.ACTIVE, JobStatus.PAUSED])
def test_slots_that_no_pass_has_come_to_are_left_out_as_well(app: App, status: JobStatus) -> None:
    job = submit(app, "job", now=START, schedule=(MINUTELY,))
    tick(START)
    set_status(job.pk, status, app=app, user=ANN, now=START)

    edit(job, app)

    assert gaps() == [OWED]


def test_a_slot_of_that_very_instant_gives_way(app: App) -> None:
    job = submit(app, "job", now=START, schedule=(MINUTELY,))
    tick(START)

    edit(job, app, now=at("2 00:01"))

    assert gaps() == []


def test_a_disabled_job_owes_none(app: App, job: Job) -> None:
    set_status(job.pk, JobStatus.DISABLED, app=app, user=ANN, now=EDITED)

    edit(job, app)

    assert gaps() == []


def test_a_delay_has_no_slots(app: App) -> None:
    job = submit(app, "job", now=START, schedule=(delay("m(1)"),))

    edit(job, app)

    assert gaps() == []


def test_what_another_expression_has_opened_is_in_no_gap(app: App) -> None:
    job = submit(app, "job", now=START, schedule=(MINUTELY, cron("30 * * * * ?")))
    tick(at("2 00:01"))
    job.expressions.update(next_due_at=at("2 00:01"))

    edit(job, app)

    assert [gap[:3] for gap in gaps()] == [(at("2 00:02"), at("2 00:03"), 2)]


def test_slots_behind_the_end_of_the_active_window_are_not_owed(app: App) -> None:
    job = submit(app, "job", now=START, schedule=(MINUTELY,), active_until=at("2 00:03"))
    tick(START)

    edit(job, app)

    assert [gap[:3] for gap in gaps()] == [(at("2 00:01"), at("2 00:02"), 2)]


def test_very_many_are_not_counted_to_the_end_and_can_be_filled(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schedules, "_MOST_COUNTED", 5)
    job = submit(app, "job", now=START, schedule=(cron("* * * * * ?"),))
    tick(START)

    edit(job, app, now=at("2 00:01:00"))

    seconds = [START + timedelta(seconds=n) for n in range(60)]
    assert [gap[:3] for gap in gaps()] == [(seconds[1], seconds[59], 6)]
    services.fill_gaps(job.pk, seconds[10], seconds[20], app=app, user=ANN, now=EDITED)
    assert [gap[:3] for gap in gaps()] == [
        (seconds[1], seconds[9], 9),
        (seconds[21], seconds[59], 1),
    ]
