"""Old runs leave; the engine, verify and explain go on as if they were there (X-33)."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.management import call_command
from pytest_django.plugin import DjangoDbBlocker

from jobs.expected import Expectations
from jobs.models import App, DependencyEntry, Job
from jobs.rules.enums import CommonStrategy, GapReason, JobStatus
from jobs.services import set_status
from logs_app.models import Stream
from sentinel_project import clock
from sentinel_project.errors import InvalidParameters, Refused
from tasks_app import housekeeping, transitions
from tasks_app.explain import explain
from tasks_app.models import Batch, Change, DailySum, Delivery, Event, Gap, Task
from tasks_app.retention import tasks as runs
from tasks_app.retention.horizons import Leaving, leavings
from tasks_app.rules.states import AttemptStatus, Reason, TaskKind, TaskStatus
from tasks_app.selectors import only_task_of
from tasks_app.services import fill_gaps
from tasks_app.verify import verify
from tests.builders import make_app, make_job, make_task
from tests.engine import (
    ANN,
    after,
    at,
    cron,
    delay,
    emptied_tables,
    private_database,
    run,
    submit,
    task_of,
    tick,
)

START = at("2 00:00")
_DAYS = 20
_STEP = timedelta(hours=6)
_REPAIRED_AFTER = timedelta(days=1)
_PAUSED, _RESUMED = START + timedelta(days=4), START + timedelta(days=10)
_FORGOTTEN = {"chained", "report any", "rare"}
pytestmark = pytest.mark.timeout(300)

Key = tuple[str, str, datetime]
Database = Callable[[], AbstractContextManager[None]]


@pytest.fixture(params=["sqlite", "postgres"])
def database(
    request: pytest.FixtureRequest, django_db_blocker: DjangoDbBlocker
) -> Iterator[Database]:
    """Both engines: how to get a database that is empty."""
    if request.param == "postgres":
        request.getfixturevalue("postgres")
    with django_db_blocker.unblock():
        yield emptied_tables if request.param == "postgres" else private_database


def a_month_of(keep: str) -> tuple[dict[Key, tuple[Any, ...]], int]:
    """Let jobs of every kind run for a month; return how each run was last seen, and the rest.

    The rest: how many tasks are still there.
    """
    configured.SENTINEL_KEEP_TASKS = keep
    seen: dict[Key, tuple[Any, ...]] = {}
    try:
        app = make_app(name="mine")
        pausing = _jobs(app)
        now = START
        while now < START + timedelta(days=_DAYS):
            now += _STEP
            if now == _PAUSED:
                set_status(pausing.pk, JobStatus.PAUSED, app=app, user=ANN, now=now)
            if now == _RESUMED:
                set_status(pausing.pk, JobStatus.ACTIVE, app=app, user=ANN, now=now)
            _let_run(now)
            _repair(now)
            seen |= _look()
            runs.delete(now=now)
            if now.hour == 0:
                findings = verify(now=now)
                assert findings.is_well, (now, findings)
        return seen, Task.objects.count()
    finally:
        configured.SENTINEL_KEEP_TASKS = ""


def _jobs(app: App) -> Job:
    """Submit jobs that look back at each other in every way; return one that is to be paused."""
    six = submit(app, "six", now=START, schedule=(cron("0 0 0/6 * * ?"),))
    daily = submit(app, "daily", now=START, schedule=(cron("0 0 1 * * ?"),))
    for name, strategy in (("all", CommonStrategy.ALL), ("any", CommonStrategy.ANYONE)):
        words = {"schedule": (cron("0 0 2 * * ?"),), "expire_after": timedelta(0)}
        looks_at = (after(six, "d(-2)", strategy), after(daily))
        submit(app, f"report {name}", now=START, dependencies=looks_at, **words)
    week = (after(daily, "w(-1)", CommonStrategy.LASTONE), after(six, "w(-1)"))
    submit(app, "weekly", now=START, schedule=(cron("0 0 3 ? * MON"),), dependencies=week)
    named = submit(app, "named", now=START, dependencies=(after(daily), after(six)))
    submit(app, "chained", now=START, dependencies=(after(named, ""),))
    words = {"schedule": (cron("0 0 0/12 * * ?"),), "expire_after": timedelta(0)}
    submit(app, "serial", now=START, is_serial=True, **words)
    submit(app, "rare", now=START, schedule=(cron("0 0 4 2 * ?"),), is_serial=True)
    submit(app, "delayed", now=START, schedule=(delay("h(30)"),))
    submit(app, "once", now=START, is_one_off=True)
    return submit(app, "pausing", now=START, dependencies=(after(daily, ""),))


def _let_run(now: datetime) -> None:
    """Open, release and run until nothing is left to do."""
    tick(now)
    while ready := list(Task.objects.filter(status=TaskStatus.READY.value, ready_at__lte=now)):
        for task in ready:
            fails = _fails(task)
            run(task, AttemptStatus.FAILED if fails else AttemptStatus.SUCCESS, now=now)
        tick(now)


def _fails(task: Task) -> bool:
    """Every fifth run fails at first, by what it stands for."""
    return (
        task.attempt_count == 0 and (task.job_id + int(task.due_at.timestamp()) // 21600) % 5 == 0
    )


def _repair(now: datetime) -> None:
    """Runs that failed are tried again after a while, but for those that nothing waits for."""
    failed = Task.objects.filter(
        status=TaskStatus.FAILED.value, ended_at__lte=now - _REPAIRED_AFTER
    )
    for task in failed.filter(attempt_count=1).order_by("pk"):
        if task.job.name not in _FORGOTTEN:
            assert transitions.retry(task, user=ANN, now=now)
    _let_run(now)


def _look() -> dict[Key, tuple[Any, ...]]:
    rows = Task.objects.values_list(
        "job__name", "kind", "due_at", "status", "reason", "started_at", "ended_at", "attempt_count"
    )
    return {(name, kind, due): tuple(rest) for name, kind, due, *rest in rows}


@pytest.fixture(scope="module")
def whole(django_db_blocker: DjangoDbBlocker) -> dict[Key, tuple[Any, ...]]:
    """Every run of the time, with all history kept."""
    with django_db_blocker.unblock(), private_database():
        seen, count = a_month_of("")
    assert count == len(seen)
    return seen


def test_whatever_runs_later_runs_as_if_all_history_were_there(
    database: Database, whole: dict[Key, tuple[Any, ...]]
) -> None:
    """Windows, serial order, names, pauses, delays, late repairs; and D-73."""
    with database():
        kept, left = a_month_of('{"*": 3}')
        counted, summed = Counter[tuple[str, str]](), set[str]()
        for day in DailySum.objects.select_related("job"):
            summed.add(day.job.name)
            counted[day.job.name, "SUCCESS"] += day.success
            counted[day.job.name, "FAILED"] += day.failed
        for name, status in Task.objects.values_list("job__name", "status"):
            counted[name, TaskStatus(status).name] += 1

    assert kept == whole
    ends = Counter((name, TaskStatus(row[0]).name) for (name, *_), row in whole.items())
    assert +counted == ends
    assert left < len(whole) * 0.6
    assert summed == {name for name, *_ in whole} - {"rare"}


# -- one thing at a time ---------------------------------------------------------------------------

LATER = START + timedelta(days=40)


@pytest.fixture
def keeping(db: None, settings: Any) -> App:
    """An app, where ended runs are kept for ten days."""
    settings.SENTINEL_KEEP_TASKS = '{"*": 10}'
    return make_app(name="mine", kind="ADMIN")


def daily_runs(app: App, days: int = 20, **words: Any) -> Job:
    """Return a job that ran at one each day."""
    job = submit(app, "daily", now=START, schedule=(cron("0 0 1 * * ?"),), **words)
    for day in range(days):
        due = START + timedelta(days=day, hours=1)
        tick(due)
        run(task_of(job, due), now=due)
        tick(due)
    return job


def dues(job: Job) -> list[datetime]:
    return list(Task.objects.filter(job=job).order_by("due_at").values_list("due_at", flat=True))


def test_without_the_setting_every_run_stays(keeping: App, settings: Any) -> None:
    settings.SENTINEL_KEEP_TASKS = ""
    daily_runs(keeping)

    assert runs.delete(now=LATER) == 0
    assert runs.preview(now=LATER) == []


def test_old_runs_leave_with_all_that_hangs_on_them_and_the_newest_stays(keeping: App) -> None:
    job = daily_runs(keeping)

    housekeeping.sweep(now=LATER)

    (newest,) = Task.objects.filter(job=job)
    assert newest.due_at == START + timedelta(days=19, hours=1)
    assert set(Stream.objects.values_list("attempt_id", flat=True)) == {newest.attempts.get().pk}
    sums = DailySum.objects.order_by("day")
    assert [(s.day.day, s.success, s.attempts, s.kind) for s in sums] == [
        (day, 1, 1, "SCHEDULE") for day in range(2, 21)
    ]
    assert verify(now=START + timedelta(days=20)).is_well


def test_sums_add_up_over_batches_statuses_and_durations(
    keeping: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "BATCH", 2)
    job = make_job(app=keeping, created_at=START)
    ends = [TaskStatus.SUCCESS, TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.KILLED]
    for hour, status in enumerate(ends):
        make_task(status, job=job, due_at=START + timedelta(hours=hour))
    make_task(TaskStatus.SUCCESS, job=job, due_at=START + timedelta(days=35))

    assert runs.delete(now=LATER, most=2) == 2
    assert runs.delete(now=LATER) == 2

    day = DailySum.objects.get()
    assert (day.success, day.failed, day.killed, day.removed) == (2, 1, 1, 0)
    durations = (timedelta(seconds=20), timedelta(seconds=5))
    assert (day.attempts, day.ran_for, day.longest) == (4, *durations)


def test_the_preview_tells_what_leaves_and_deletes_nothing(
    keeping: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = daily_runs(keeping)
    monkeypatch.setattr(clock, "now", lambda: LATER)

    def command(*words: str) -> dict[str, Any]:
        out = io.StringIO()
        call_command("retention", *words, stdout=out)
        return dict(json.loads(out.getvalue()))

    (share,) = command()["history"]["jobs"]

    assert (share["app"], share["job"]) == ("mine", "daily")
    assert (share["tasks"], share["attempts"]) == (19, 19)
    assert datetime.fromisoformat(share["lastDue"]) == START + timedelta(days=18, hours=1)
    assert len(dues(job)) == 20
    assert command("--apply")["deletedTasks"] == 19
    assert command()["history"] == {"tasks": 0, "jobs": []}


def test_explain_says_that_a_run_was_removed_by_retention(keeping: App) -> None:
    """X-33, D-70: and does not say so of what never was a slot."""
    job = daily_runs(keeping)
    runs.delete(now=LATER)
    job.refresh_from_db()

    def slot(due_at: datetime) -> tuple[Any, str]:
        gate = next(g for g in explain(job, due_at, None, now=LATER) if g.name == "slot")
        assert gate.is_blocking
        return gate.reason, gate.text

    reason, text = slot(START + timedelta(days=3, hours=1))
    assert reason is Reason.REMOVED_BY_RETENTION
    assert "removed by retention" in text
    assert "1 SUCCESS" in text
    assert slot(START + timedelta(days=3, hours=2))[0] is Reason.NOT_A_SLOT
    assert slot(START - timedelta(days=3))[0] is Reason.NOT_A_SLOT


def test_nothing_is_filled_where_history_has_left(keeping: App) -> None:
    """D-55: what the windows of such a run would look at is gone."""
    job = daily_runs(keeping)
    early, late = START + timedelta(days=2), START + timedelta(days=25)
    for due in (early, late):
        words = {"from_at": due, "to_at": due, "count": 1, "created_at": due}
        Gap.objects.create(job=job, reason=GapReason.EXPIRED.value, **words)
    runs.delete(now=LATER)

    with pytest.raises(Refused, match="removed by retention"):
        fill_gaps(job.pk, early, LATER, app=keeping, user=ANN, now=LATER)

    later = early + timedelta(days=1)
    assert len(fill_gaps(job.pk, later, LATER, app=keeping, user=ANN, now=LATER)) == 1


def test_a_run_that_is_opened_while_the_sweep_looks_holds_the_history(
    keeping: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The horizon is found before it is moved; what was opened behind it meanwhile is needed."""
    job = make_job(app=keeping, created_at=START)
    for day in (1, 20):
        make_task(TaskStatus.SUCCESS, job=job, due_at=START + timedelta(days=day))

    def and_then_somebody_opens(*, now: datetime) -> list[Leaving]:
        found = list(leavings(now=now))
        make_task(TaskStatus.WAITING, job=job, due_at=START + timedelta(days=2))
        return found

    monkeypatch.setattr(runs, "leavings", and_then_somebody_opens)

    assert runs.delete(now=LATER) == 0

    job.refresh_from_db()
    assert job.history_from is None


@pytest.mark.parametrize("model", [Event, Change, Delivery])
def test_a_run_of_which_others_are_still_to_be_told_stays(keeping: App, model: Any) -> None:
    """X-8, D-84."""
    job = daily_runs(keeping)
    task = task_of(job, START + timedelta(days=4, hours=1))
    now = clock.now()
    words: dict[Any, dict[str, Any]] = {
        Event: {"created_at": now},
        Change: {"to_status": 4, "attempt_number": 1, "at": now},
        Delivery: {
            "channel": "MAIL",
            "target": "a",
            "payload": {},
            "once_key": "k",
            "created_at": now,
        },
    }
    model.objects.create(job=job, task=task, **words[model])

    runs.delete(now=LATER)

    assert dues(job) == [START + timedelta(days=day, hours=1) for day in (4, 19)]


def test_a_run_that_named_one_which_stays_stays_too(keeping: App) -> None:
    """D-73: verify explains the one by the other, also when the dependency is gone."""
    job = daily_runs(keeping)
    namer = task_of(job, START + timedelta(days=4, hours=1))
    named = make_task(TaskStatus.WAITING, due_at=namer.due_at, named_by=namer)

    runs.delete(now=LATER)
    assert Task.objects.filter(pk=namer.pk).exists()

    named.delete()
    runs.delete(now=LATER)
    assert not Task.objects.filter(pk=namer.pk).exists()


def test_reruns_leave_when_their_whole_batch_has_ended(keeping: App) -> None:
    """D-51: dependencies link the runs of a batch."""
    batch = Batch.objects.create(created_at=START)
    job = make_job(app=keeping, created_at=START)
    words = {"job": job, "kind": TaskKind.RERUN.value, "batch": batch}
    make_task(TaskStatus.SUCCESS, due_at=START, **words)
    other = make_task(TaskStatus.WAITING, due_at=START + timedelta(days=1), **words)

    assert runs.delete(now=LATER) == 0

    Task.objects.filter(pk=other.pk).update(status=TaskStatus.REMOVED.value, ended_at=START)
    assert runs.delete(now=LATER) == 2
    assert not Batch.objects.exists()
    assert set(DailySum.objects.values_list("kind", flat=True)) == {"RERUN"}


def test_the_run_of_a_one_off_leaves_unless_somebody_waits_for_it(keeping: App) -> None:
    """D-33: a dependency on a one-off ranges over its only run, wherever that lies."""
    once = submit(keeping, "once", now=START, is_one_off=True)
    awaited = submit(keeping, "awaited", now=START, is_one_off=True)
    slots = (cron("0 0 1 1 1 ?"),)
    submit(keeping, "waiter", now=START, schedule=slots, dependencies=(after(awaited),))
    for task in Task.objects.all():
        run(task, now=START)
    tick(START)

    assert runs.delete(now=LATER) == 1

    assert Task.objects.get().job == awaited
    once.refresh_from_db()
    with pytest.raises(Refused, match="removed by retention"):
        only_task_of(once)
    with pytest.raises(InvalidParameters, match="removed by retention"):
        submit(keeping, "late", now=LATER, schedule=slots, dependencies=(after(once),))


def test_jobs_that_wait_for_each_other_keep_their_history_by_the_longest_rule(
    keeping: App, settings: Any
) -> None:
    """A repaired run of the upstream names one of the dependent, which must not be forgotten."""
    settings.SENTINEL_KEEP_TASKS = '{"*": 1000, "mine/dependent": 10}'
    upstream = make_job(app=keeping, name="upstream", created_at=START)
    dependent = make_job(app=keeping, name="dependent", created_at=START)
    DependencyEntry.objects.create(job=dependent, upstream=upstream)
    for job in (upstream, dependent):
        for day in (1, 2, 39):
            make_task(TaskStatus.SUCCESS, job=job, due_at=START + timedelta(days=day))

    assert runs.delete(now=LATER) == 0

    settings.SENTINEL_KEEP_TASKS = '{"*": 10}'
    assert runs.delete(now=LATER) == 4


def test_what_an_old_waiting_run_looks_at_stays(keeping: App) -> None:
    """D-34: the dependent waits for one of the days, and looks at the day before as well."""
    upstream = make_job(app=keeping, name="upstream", created_at=START)
    dependent = make_job(app=keeping, name="dependent", created_at=START)
    DependencyEntry.objects.create(job=dependent, upstream=upstream, offset="d(-2)")
    for day in (1, 2, 3, 4, 5, 39):
        make_task(TaskStatus.SUCCESS, job=upstream, due_at=START + timedelta(days=day))
    waiting = make_task(TaskStatus.WAITING, job=dependent, due_at=START + timedelta(days=5))
    make_task(TaskStatus.SUCCESS, job=dependent, due_at=START + timedelta(days=39))

    assert runs.delete(now=LATER) == 2
    assert dues(upstream)[0] == START + timedelta(days=3)

    ended = {"status": TaskStatus.REMOVED.value, "ended_at": START + timedelta(days=5)}
    Task.objects.filter(pk=waiting.pk).update(**ended)
    assert runs.delete(now=LATER) == 4


def test_a_new_dependent_that_looks_further_back_expects_what_is_kept(keeping: App) -> None:
    """D-32: as if the upstream's floor were there."""
    upstream = daily_runs(keeping)
    later = START + timedelta(days=19, hours=2)
    assert runs.delete(now=later) == 10
    slots = (cron("0 0 5 * * ?"),)
    looks_at = (after(upstream, "d(-15,1)"),)
    job = submit(keeping, "late", now=later, schedule=slots, dependencies=looks_at)

    tick(START + timedelta(days=19, hours=5))

    assert [TaskStatus(task.status) for task in job.tasks.all()] == [TaskStatus.READY]


def test_nothing_is_named_where_history_has_left(keeping: App) -> None:
    """D-36: what ran for that due time is forgotten, so it must not run for it once more."""
    upstream = daily_runs(keeping)
    job = submit(keeping, "named", now=START, dependencies=(after(upstream, ""),))
    Job.objects.filter(pk=job.pk).update(history_from=START + timedelta(days=5))
    expectations = Expectations()

    due = START + timedelta(days=5, hours=1)
    assert expectations.named(job.pk, due) == due
    assert expectations.named(job.pk, due - timedelta(days=1)) is None


def test_the_run_that_the_serial_order_looks_at_stays(keeping: App) -> None:
    """D-40: what expired is looked past, so that the next run waits for the one before it."""
    job = make_job(app=keeping, created_at=START, is_serial=True)
    make_task(TaskStatus.SUCCESS, job=job, due_at=START + timedelta(days=1))
    make_task(TaskStatus.FAILED, job=job, due_at=START + timedelta(days=2))
    expired = {"attempt_count": 0, "reason": Reason.EXPIRED.value}
    for day in (3, 4):
        make_task(TaskStatus.FAILED, job=job, due_at=START + timedelta(days=day), **expired)

    assert runs.delete(now=LATER) == 1

    assert dues(job) == [START + timedelta(days=day) for day in (2, 3, 4)]


def test_what_was_done_while_a_dependent_is_paused_stays_for_its_resume(keeping: App) -> None:
    """D-36: it names what the dependent owes."""
    upstream = daily_runs(keeping)
    dependent = make_job(app=keeping, created_at=START, status=JobStatus.PAUSED.value)
    DependencyEntry.objects.create(job=dependent, upstream=upstream, offset="")
    Job.objects.filter(pk=dependent.pk).update(paused_at=START)

    assert runs.delete(now=LATER) == 0
