"""What the database refuses once is tried again, and no job or event is blamed for it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import (
    DatabaseError,
    DataError,
    IntegrityError,
    OperationalError,
    ProgrammingError,
    connection,
)

from jobs.models import App, Job, ScheduleExpression, new_revision
from jobs.rules.enums import Edit, ExpressionKind, JobStatus
from jobs.rules.spec import ScheduleEdit
from jobs.services import set_schedule, set_status
from sentinel_project import clock, health
from tasks_app import planner, rescuer
from tasks_app.explain import explain
from tasks_app.models import Attempt, Event, Gap, Task
from tasks_app.rules.aside import FIRST_PAUSE, LONGEST_PAUSE, pause_after
from tasks_app.rules.states import AttemptStatus, Finder, TaskStatus
from tasks_app.rules.timing import Lease
from tests.builders import make_app, make_attempt
from tests.engine import ANN, after, at, begin, cron, end, status_of, submit, task_of, tick

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("spelled_statements")]

START, DUE = at("2 00:00"), at("2 01:00")
DAILY = (cron("0 0 1 * * ?"),)


@pytest.fixture
def app(db: None) -> App:
    return make_app(kind="ADMIN")


class Refusing:
    """Refuses the first ``times`` statements of a kind, as a deadlock does."""

    def __init__(
        self, verb: str, table: str, times: int, error: type[DatabaseError] = OperationalError
    ) -> None:
        self.verb, self.table, self.left, self.error = verb, f'"{table}"', times, error

    def __call__(self, execute: Callable[..., object], sql: str, *rest: Any) -> object:
        if self.left and sql.startswith(self.verb) and self.table in sql:
            self.left -= 1
            raise self.error("deadlock detected")
        return execute(sql, *rest)


def test_a_slot_that_the_database_refused_is_opened_at_the_next_tick(app: App) -> None:
    """X-9: an expression is set aside for its own faults only."""
    job = submit(app, "job", now=START, schedule=DAILY)
    refusing = Refusing("INSERT", "tasks_app_task", times=2)

    with connection.execute_wrapper(refusing), pytest.raises(OperationalError):
        tick(DUE)

    assert refusing.left == 0
    expression = ScheduleExpression.objects.get(job=job)
    assert (expression.next_due_at, expression.fault) == (DUE, "")
    tick(DUE)
    assert status_of(task_of(job, DUE)) is TaskStatus.READY


def test_an_expression_that_cannot_be_read_is_set_aside_and_stops_no_other(app: App) -> None:
    """X-9."""
    poison, healthy = (submit(app, name, now=START, schedule=DAILY) for name in ("bad", "good"))
    rows = ScheduleExpression.objects.filter(job=poison)
    rows.update(text="d(0)", kind=ExpressionKind.RATE)
    Job.objects.filter(pk=poison.pk).update(revision=new_revision())

    tick(DUE)

    assert status_of(task_of(healthy, DUE)) is TaskStatus.READY
    assert not Task.objects.filter(job=poison).exists()
    assert "whole number" in ScheduleExpression.objects.get(job=poison).fault


REFUSALS = [OperationalError, ProgrammingError, IntegrityError, DataError]


@pytest.mark.parametrize("error", REFUSALS)
def test_no_error_of_the_database_sets_a_job_aside(app: App, error: type[DatabaseError]) -> None:
    """X-9: a column that is yet to be made, or a privilege that is missing, concerns all jobs."""
    jobs = [submit(app, name, now=START, schedule=DAILY) for name in ("one", "two")]

    with connection.execute_wrapper(Refusing("INSERT", "tasks_app_task", 99, error)):
        for _ in range(3):
            with pytest.raises(error):
                tick(DUE)

    rows = ScheduleExpression.objects.values_list("next_due_at", "fault", "aside_until")
    assert set(rows) == {(DUE, "", None)}
    tick(DUE)
    assert [status_of(task_of(job, DUE)) for job in jobs] == [TaskStatus.READY] * 2


def test_a_job_that_the_database_refuses_stops_neither_another_nor_the_other_passes(
    app: App,
) -> None:
    """X-9: refused with all, and alone; the job after it is opened, and events are carried on."""
    refused, other = (submit(app, name, now=START, schedule=DAILY) for name in ("one", "two"))

    with (
        connection.execute_wrapper(Refusing("INSERT", "tasks_app_task", 2, IntegrityError)),
        pytest.raises(IntegrityError),
    ):
        tick(DUE)

    assert status_of(task_of(other, DUE)) is TaskStatus.READY
    assert not Task.objects.filter(job=refused).exists()
    assert not Event.objects.filter(processed_at=None).exists()


# -- jobs whose slots cannot be planned ------------------------------------------------------------

MINUTELY = (cron("0 * * * * ?"),)


@pytest.fixture
def poison(app: App) -> Job:
    """A job of each minute whose expression cannot be read; its slots of 00:01 on are owed."""
    job = submit(app, "poison", now=START, schedule=MINUTELY)
    tick(START)
    spoil(job, "d(0)", ExpressionKind.RATE)
    tick(at("2 00:01"))
    return job


def spoil(job: Job, text: str, kind: ExpressionKind) -> None:
    """Have the release that runs read the expression as ``text``, without an edit."""
    ScheduleExpression.objects.filter(job=job).update(text=text, kind=kind)
    Job.objects.filter(pk=job.pk).update(revision=new_revision())


def mend(job: Job) -> None:
    spoil(job, MINUTELY[0].text, ExpressionKind.CRON)


def expression_of(job: Job) -> ScheduleExpression:
    return ScheduleExpression.objects.get(job=job)


def dues_of(job: Job) -> list[int]:
    """Return the minutes after midnight for which the job has a task."""
    rows = (
        Task.objects.filter(job=job, due_at__gt=START)
        .order_by("due_at")
        .values_list("due_at", flat=True)
    )
    return [int((due - START).total_seconds() // 60) for due in rows]


def test_what_is_set_aside_is_tried_again_and_loses_no_slot(poison: Job) -> None:
    """X-9, D-21: a mended release heals by itself, and opens what came meanwhile."""
    set_aside = expression_of(poison)
    mend(poison)
    tick(at("2 00:01:09"))
    before_the_pause = dues_of(poison)
    tick(at("2 00:03"))

    assert set_aside.next_due_at == at("2 00:01")
    assert (before_the_pause, dues_of(poison)) == ([], [1, 2, 3])
    healed = expression_of(poison)
    assert (healed.fault, healed.faults, healed.aside_until) == ("", 0, None)
    assert not Gap.objects.exists()


def test_the_pause_of_what_fails_again_and_again_grows(poison: Job) -> None:
    first = expression_of(poison).aside_until
    tick(at("2 00:02"))

    again = expression_of(poison)
    assert first == at("2 00:01") + FIRST_PAUSE
    assert (again.faults, again.aside_until) == (2, at("2 00:02") + 2 * FIRST_PAUSE)
    assert pause_after(10_000) == LONGEST_PAUSE


def test_beat_is_not_kept_awake_by_what_is_set_aside(poison: Job) -> None:
    assert planner.next_due(now=at("2 00:01:05")) is None
    assert planner.next_due(now=at("2 00:01:10")) == at("2 00:01")


def test_an_edit_with_the_same_text_tries_what_was_set_aside_at_once(app: App, poison: Job) -> None:
    """X-9: from where it stood; the cycle is not skipped."""
    mend(poison)
    row = expression_of(poison)
    edit = ScheduleEdit(mode=Edit.EDIT, expression_id=row.pk, text=row.text)

    set_schedule(poison.pk, [edit], app=app, user=ANN, now=at("2 00:01:05"))
    tick(at("2 00:01:05"))

    assert dues_of(poison) == [1]
    assert expression_of(poison).fault == ""


def test_an_edit_mends_a_text_that_cannot_be_read(app: App, poison: Job) -> None:
    """D-57: it holds from now on."""
    row = expression_of(poison)
    edit = ScheduleEdit(mode=Edit.EDIT, expression_id=row.pk, text=MINUTELY[0].text)

    set_schedule(poison.pk, [edit], app=app, user=ANN, now=at("2 00:01:05"))
    tick(at("2 00:02"))

    assert dues_of(poison) == [2]
    assert expression_of(poison).fault == ""


def test_what_an_earlier_release_set_aside_begins_anew_with_an_edit(app: App, poison: Job) -> None:
    """It kept no cursor."""
    mend(poison)
    ScheduleExpression.objects.update(next_due_at=None, faults=0, aside_until=None)
    row = expression_of(poison)
    edit = ScheduleEdit(mode=Edit.EDIT, expression_id=row.pk, text=row.text)

    set_schedule(poison.pk, [edit], app=app, user=ANN, now=at("2 00:01:05"))
    tick(at("2 00:02"))

    assert dues_of(poison) == [2]


def test_a_job_that_is_switched_on_again_is_set_aside_no_more(app: App, poison: Job) -> None:
    """D-23."""
    mend(poison)
    for status in (JobStatus.DISABLED, JobStatus.ACTIVE):
        set_status(poison.pk, status, app=app, user=ANN, now=at("2 00:01:05"))

    assert (expression_of(poison).fault, expression_of(poison).aside_until) == ("", None)


def test_explain_says_why_a_slot_was_set_aside(poison: Job) -> None:
    mend(poison)

    gates = explain(poison, at("2 00:01"), None, now=at("2 00:01:05"))

    (opened,) = [gate for gate in gates if gate.name == "opened"]
    assert "whole number" in opened.text


def test_the_doctor_names_what_is_set_aside(
    poison: Job, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        call_command("doctor")

    assert f"WRONG   schedules: 1 set aside, the first of job {poison.pk}: " in (
        capsys.readouterr().out
    )
    mend(poison)
    tick(at("2 00:02"))
    assert health.examine_schedules().is_well


@pytest.mark.parametrize("times", [1, 2])
def test_an_event_that_the_database_refused_is_carried_on_at_once(app: App, times: int) -> None:
    """X-8: a dependent does not wait half a minute for what was nobody's fault."""
    upstream = submit(app, "upstream", now=START, schedule=DAILY)
    job = submit(app, "job", now=START, schedule=DAILY, dependencies=(after(upstream),))
    tick(DUE)
    end(begin(task_of(upstream, DUE), now=DUE), now=DUE)

    refusing = Refusing("UPDATE", "tasks_app_event", times)
    with connection.execute_wrapper(refusing):
        planner.process_events(by=Finder.TRIGGER, now=DUE)

    assert refusing.left == 0
    assert status_of(task_of(job, DUE)) is TaskStatus.READY
    assert not Event.objects.filter(faults__gt=0).exists()


def test_an_event_that_fails_again_and_again_steps_aside(app: App) -> None:
    """X-8: and is tried again later."""
    event = Event.objects.create(job=submit(app, "other", now=START), created_at=START)

    with connection.execute_wrapper(Refusing("UPDATE", "tasks_app_event", times=3)):
        planner.process_events(by=Finder.TRIGGER, now=DUE)

    event.refresh_from_db()
    assert (event.faults, event.processed_at) == (1, None)
    planner.process_events(by=Finder.BEAT, now=at("2 01:01"))
    event.refresh_from_db()
    assert event.processed_at is not None


# -- one row that raises ---------------------------------------------------------------------------


class RefusingRow:
    """Refuses every update of one row that names it by its id."""

    def __init__(self, table: str, pk: int) -> None:
        self.start, self.pk = f'UPDATE "{table}"', pk
        self.by_id = re.compile(rf'"{table}"."id" = \(?%s')

    def __call__(self, execute: Callable[..., object], sql: str, params: Any, *rest: Any) -> object:
        found = self.by_id.search(sql)
        if self.start in sql and found:
            place = sql[: found.start()].count("%s")
            if params[place] == self.pk:
                raise DataError("value out of range")
        return execute(sql, params, *rest)


def test_a_task_that_cannot_expire_stops_no_other_and_hides_no_instant(app: App) -> None:
    """D-24, X-9."""
    words: dict[str, Any] = {"now": START, "schedule": DAILY, "expire_after": timedelta(minutes=1)}
    jobs = [submit(app, name, **words) for name in ("one", "two")]
    tick(DUE)
    stubborn, other = (task_of(job, DUE) for job in jobs)
    now = DUE + timedelta(minutes=2)

    with connection.execute_wrapper(RefusingRow("tasks_app_task", stubborn.pk)):
        following = planner.run_passes(now=now)

    assert [status_of(task) for task in (stubborn, other)] == [TaskStatus.READY, TaskStatus.FAILED]
    assert following == at("3 01:00"), "it is not kept awake by what it cannot do"
    assert planner.next_expiry(now=now) is None
    planner.expire_due(now=now)
    assert status_of(stubborn) is TaskStatus.FAILED


def test_a_job_whose_end_cannot_be_noted_stops_no_other(app: App) -> None:
    """D-35."""
    words: dict[str, Any] = {"now": START, "schedule": DAILY, "active_until": DUE}
    stubborn, other = (submit(app, name, **words) for name in ("one", "two"))

    with connection.execute_wrapper(RefusingRow("jobs_job", stubborn.pk)):
        planner.note_ended_windows(now=DUE)

    noted = Job.objects.filter(is_over_noted=True).values_list("pk", flat=True)
    assert list(noted) == [other.pk]
    assert planner.next_end(now=DUE) is None
    planner.note_ended_windows(now=DUE)
    assert set(noted.all()) == {stubborn.pk, other.pk}


@pytest.mark.usefixtures("committed_db")
def test_an_attempt_that_cannot_be_rescued_stops_no_other() -> None:
    long_ago = clock.now() - timedelta(hours=1)
    stubborn, other = (make_attempt(lease_until=long_ago + timedelta(minutes=n)) for n in range(2))

    with connection.execute_wrapper(RefusingRow("tasks_app_attempt", stubborn.pk)):
        rescued = rescuer.rescue_overdue(Lease().grace, now=clock.now())

    assert rescued == 1
    lost = Attempt.objects.filter(status=AttemptStatus.LOST.value)
    assert lost.get().pk == other.pk
