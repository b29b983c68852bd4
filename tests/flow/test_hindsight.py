"""Explain at an earlier instant, and since when each gate is as it is (D-70)."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from jobs.models import App, Job
from jobs.rules.enums import Edit, JobStatus
from jobs.rules.spec import DependencyEdit
from jobs.services import set_dependencies, set_schedule, set_status, skip_slot
from sentinel_project.errors import InvalidParameters
from tasks_app import planner, services, transitions
from tasks_app.explain import explain, refuse_instant
from tasks_app.gates import Gate, GateState
from tasks_app.models import Task
from tasks_app.rules.states import AttemptStatus, Finder, Reason, TaskStatus
from tests.builders import make_app
from tests.engine import ANN, after, at, begin, cron, end, run, submit, task_of, tick

pytestmark = pytest.mark.django_db

START, DUE, LATER = at("2 00:00"), at("2 01:00"), at("3 00:00")
DAILY = (cron("0 0 * * *"),)
NOON = at("2 12:00")


@pytest.fixture
def app(db: None) -> App:
    return make_app()


def asked(job: Job, due_at: datetime, when: datetime, *, now: datetime = LATER) -> list[Gate]:
    rows = Task.objects.select_related("job__app", "worker_group")
    task = rows.filter(job=job, due_at=due_at).first()
    job = Job.objects.select_related("app").get(pk=job.pk)
    return explain(job, due_at, task, now=now, at=when)


def blocking(gates: list[Gate]) -> Gate | None:
    found = [gate for gate in gates if gate.is_blocking]
    assert len(found) < 2
    return found[0] if found else None


def named(gates: list[Gate], kind: str) -> Gate:
    (gate,) = (gate for gate in gates if gate.name.split(":")[0] == kind)
    return gate


@pytest.fixture
def lived(app: App) -> Job:
    """A job whose run waited for its upstream, for a worker, a retry, and then succeeded."""
    upstream = submit(app, "upstream", now=START, schedule=DAILY)
    words = {"max_retries": 1, "retry_interval": timedelta(minutes=10)}
    job = submit(
        app,
        "job",
        now=START,
        schedule=(cron("0 1 * * *"),),
        dependencies=(after(upstream),),
        **words,
    )
    tick(START)
    tick(DUE)
    attempt = begin(task_of(upstream, START), now=at("2 03:00"))
    end(attempt, now=at("2 04:00"))
    planner.process_events(by=Finder.TRIGGER, now=at("2 04:00"))
    planner.note_reasons(now=at("2 04:01"))
    task = task_of(job, DUE)
    transitions.ring([task.pk], now=at("2 05:00"))
    end(begin(task, now=at("2 05:10")), AttemptStatus.FAILED, now=at("2 06:00"))
    transitions.ring([task.pk], now=at("2 06:10"))
    run(task_of(job, DUE), now=at("2 06:20"))
    return job


@pytest.mark.parametrize(
    ("when", "gate", "reason", "since"),
    [
        ("01:30", "dependency", Reason.UPSTREAM_NOT_DONE, "01:00"),
        ("03:30", "dependency", Reason.UPSTREAM_NOT_DONE, "01:00"),
        ("04:00:30", "dispatched", Reason.QUEUED, "04:00"),
        ("04:30", "workers", Reason.NO_WORKER, "04:01"),
        ("05:05", "claimed", Reason.QUEUED, "05:00"),
        ("06:05", "dispatched", Reason.RETRY_WAIT, "06:00"),
        ("06:15", "claimed", Reason.QUEUED, "06:10"),
    ],
)
def test_a_run_is_explained_as_it_was(
    lived: Job, when: str, gate: str, reason: Reason, since: str
) -> None:
    gates = asked(lived, DUE, at(f"2 {when}"))

    found = blocking(gates)
    assert found is not None
    assert (found.name.split(":")[0], found.reason) == (gate, reason)
    assert found.since == at(f"2 {since}")
    states = [each.state for each in gates]
    place = gates.index(found)
    assert set(states[:place]) == {GateState.PASSED}
    assert set(states[place + 1 :]) <= {GateState.NOT_REACHED}
    assert all(each.since is None for each in gates[place + 1 :])


@pytest.mark.parametrize("when", ["05:30", "06:20", "23:00"])
def test_a_run_that_went_or_had_ended_has_passed_all_gates(lived: Job, when: str) -> None:
    gates = asked(lived, DUE, at(f"2 {when}"))

    assert {gate.state for gate in gates} == {GateState.PASSED}


def test_each_gate_tells_since_when_it_is_passed(lived: Job) -> None:
    gates = asked(lived, DUE, at("2 05:30"))

    told = {gate.name.split(":")[0]: gate.since for gate in gates}
    opened, released, rung = DUE, at("2 04:00"), at("2 05:00")
    assert [told[name] for name in ("slot", "opened")] == [opened, opened]
    assert [told[name] for name in ("dependency", "serial", "system")] == [released] * 3
    assert (told["workers"], told["dispatched"], told["claimed"]) == (rung, rung, at("2 05:10"))


@pytest.mark.parametrize(
    ("when", "status"),
    [("01:30", TaskStatus.READY), ("03:30", TaskStatus.RUNNING), ("04:30", TaskStatus.SUCCESS)],
)
def test_a_dependency_shows_its_window_and_the_states_of_then(
    lived: Job, when: str, status: TaskStatus
) -> None:
    gate = named(asked(lived, DUE, at(f"2 {when}")), "dependency")

    assert gate.window is not None
    assert (gate.window.start, gate.window.end) == (START, LATER)
    assert [(run.due_at, run.status) for run in gate.expected or ()] == [(START, status)]


def test_what_is_asked_now_tells_since_when(app: App) -> None:
    upstreams = [submit(app, name, now=START, schedule=DAILY) for name in ("a", "b")]
    edges = tuple(after(upstream) for upstream in upstreams)
    job = submit(app, "job", now=START, schedule=(cron("0 1 * * *"),), dependencies=edges)
    tick(START)
    tick(DUE)
    run(task_of(upstreams[0], START), now=at("2 03:00"))
    planner.process_events(by=Finder.TRIGGER, now=at("2 03:00"))

    gates = asked(job, DUE, NOON, now=NOON)

    told = {gate.name: (gate.state, gate.since) for gate in gates}
    first, second = (f"dependency:{upstream.pk}" for upstream in upstreams)
    assert told[first] == (GateState.PASSED, at("2 03:00"))
    assert told[second] == (GateState.BLOCKING, at("2 03:00"))
    assert told["serial"] == (GateState.NOT_REACHED, None)


def test_dependencies_that_were_edited_away_are_explained_as_they_were(app: App) -> None:
    upstream = submit(app, "upstream", now=START, schedule=DAILY)
    edges = (after(upstream),)
    job = submit(app, "job", now=START, schedule=(cron("0 1 * * *"),), dependencies=edges)
    tick(START)
    tick(DUE)
    drop = DependencyEdit(mode=Edit.DELETE, upstream_id=upstream.pk)
    set_dependencies(job.pk, [drop], app=app, user=ANN, now=NOON)
    tick(NOON)

    then, since = (asked(job, DUE, when) for when in (at("2 11:00"), at("2 13:00")))

    gate = named(then, "dependency")
    assert (gate.name, gate.is_blocking) == (f"dependency:{upstream.pk}", True)
    assert gate.expected is not None
    assert not any(gate.name.startswith("dependency") for gate in since)


def test_a_jobs_status_is_that_of_then(app: App) -> None:
    job = submit(app, "job", now=START, schedule=DAILY)
    tick(START)
    for hour, status in ((3, JobStatus.PAUSED), (5, JobStatus.ACTIVE)):
        set_status(job.pk, status, app=app, user=ANN, now=at(f"2 {hour}:00"))

    told = [blocking(asked(job, START, at(f"2 {hour}:00"))) for hour in (2, 4, 6)]

    found = [(gate.name, gate.reason, gate.since) for gate in told if gate is not None]
    assert found == [
        ("dispatched", Reason.QUEUED, START),
        ("job_status", Reason.JOB_PAUSED, at("2 03:00")),
        ("dispatched", Reason.QUEUED, START),
    ]


def test_a_pause_of_the_whole_system_is_that_of_then(app: App) -> None:
    job = submit(app, "job", now=START, schedule=DAILY)
    tick(START)
    for hour, paused in ((3, True), (5, False)):
        services.set_system_paused(paused, app=app, user=ANN, now=at(f"2 {hour}:00"))

    told = [blocking(asked(job, START, at(f"2 {hour}:00"))) for hour in (2, 4, 6)]

    assert [gate.name for gate in told if gate is not None] == [
        "dispatched",
        "system",
        "dispatched",
    ]
    assert told[1] is not None
    assert told[1].since == at("2 03:00")


def test_a_run_that_failed_and_was_retried_had_failed(app: App) -> None:
    job = submit(app, "job", now=START, schedule=DAILY)
    tick(START)
    task = task_of(job, START)
    services.kill_tasks([task.pk], app=app, user="kim", now=at("2 03:00"))
    services.retry_tasks([task.pk], app=app, user=ANN, now=at("2 05:00"))

    then, since = (blocking(asked(job, START, at(f"2 {hour}:00"))) for hour in (4, 6))

    assert then is not None
    assert since is not None
    assert (then.name, then.reason, then.since) == (
        "claimed",
        Reason.KILLED_BY_USER,
        at("2 03:00"),
    )
    assert (since.name, since.since) == ("dispatched", at("2 05:00"))


def test_a_run_that_expired_is_told_so(app: App) -> None:
    words = {"expire_after": timedelta(hours=1)}
    job = submit(app, "job", now=START, schedule=DAILY, **words)
    tick(START)
    tick(at("2 02:00"))

    gate = blocking(asked(job, START, NOON))

    assert gate is not None
    assert (gate.name, gate.reason, gate.since) == ("expiry", Reason.EXPIRED, at("2 02:00"))


# -- before there was a task -----------------------------------------------------------------------


def test_before_its_due_time_a_run_was_not_due(app: App) -> None:
    job = submit(app, "job", now=START, schedule=(cron("0 6 * * *"),))
    tick(at("2 06:05"))

    early, late = (blocking(asked(job, at("2 06:00"), at(f"2 {t}"))) for t in ("05:00", "06:02"))

    assert early is not None
    assert late is not None
    assert (early.name, early.reason) == ("opened", Reason.NOT_DUE)
    assert (late.name, late.reason, late.since) == ("opened", Reason.NOT_OPENED, at("2 06:00"))


def test_a_mark_and_a_gap_count_from_when_they_were_made(app: App) -> None:
    job = submit(app, "job", now=START, schedule=(cron("0 6 * * *"),))
    skip_slot(job.pk, at("3 06:00"), app=app, user="kim", reason="", now=NOON)

    before, since = (
        blocking(asked(job, at("3 06:00"), when)) for when in (at("2 11:00"), at("2 13:00"))
    )

    assert before is not None
    assert since is not None
    assert before.reason is Reason.NOT_DUE
    assert (since.reason, since.since) == (Reason.SKIPPED_BY_USER, NOON)


def test_a_schedule_that_was_edited_since_is_said_to_be(app: App) -> None:
    job = submit(app, "job", now=START, schedule=(cron("0 6 * * *"),))
    set_schedule(job.pk, [cron("0 7 * * *")], app=app, user=ANN, now=at("2 05:00"))

    gate = named(asked(job, at("3 06:00"), at("2 04:00")), "slot")

    assert "edited since" in gate.text


# -- refusals --------------------------------------------------------------------------------------


def test_what_has_not_come_or_was_not_there_yet_is_refused(app: App) -> None:
    job = submit(app, "job", now=START, schedule=(cron("0 6 * * *"),))
    tick(at("2 06:00"))
    task = task_of(job, at("2 06:00"))

    for when, subject, words in (
        (LATER, None, "lies in the future"),
        (START - timedelta(seconds=1), None, f"job {job.pk} was submitted later"),
        (at("2 05:00"), task, f"task {task.pk} was opened later"),
    ):
        with pytest.raises(InvalidParameters, match=f"at: .*{words}"):
            refuse_instant(when, job, subject, now=NOON)
    refuse_instant(at("2 05:00"), job, None, now=NOON)
    refuse_instant(None, job, task, now=NOON)
