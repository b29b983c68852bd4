"""Verify: a healthy ledger has no finding, and whatever is tampered with is found (D-73)."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from jobs.models import App, AuditEntry, Job, ScheduleExpression
from jobs.rules.enums import Edit, JobStatus
from jobs.rules.spec import ScheduleEdit
from jobs.services import set_schedule, set_status
from sentinel_project import clock
from tasks_app.models import Gap, Task
from tasks_app.rules.states import TaskKind, TaskStatus
from tasks_app.simulation import simulate
from tasks_app.simulation.document import read
from tasks_app.verify import Findings, verify
from tests import engine
from tests.builders import make_app, make_job, make_task
from tests.engine import ANN, SCENARIOS, after, at, cron, private_database, scenario

#: Nobody is there to open its last slots.
OUTAGE = "126-an-outage-past-the-end.json"
NAMES = sorted(path.name for path in SCENARIOS.glob("*.json") if path.name != OUTAGE)


def shown(findings: Findings) -> list[str]:
    """Return the findings in words."""
    return [
        *(f"missing {job.name} {due}" for job, due in findings.missing),
        *(f"duplicate {job.name} {due}" for job, due, _ in findings.duplicate),
        *(f"unexplained {job.name} {task.due_at}" for job, task in findings.unexplained),
    ]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: Path(name).stem)
def test_no_scenario_leaves_a_finding(name: str, django_db_blocker: DjangoDbBlocker) -> None:
    """Edits, outages, pauses, fills, skips: whatever the engine does, it can account for."""
    document = scenario(name)["input"]

    with django_db_blocker.unblock(), private_database():
        simulate(document)
        found = shown(verify(now=read(document).until))

    assert found == []


def test_a_slot_that_no_scheduler_opens_is_missing_after_a_minute(
    django_db_blocker: DjangoDbBlocker,
) -> None:
    document = scenario(OUTAGE)["input"]

    with django_db_blocker.unblock(), private_database():
        simulate(document)
        found = shown(verify(now=read(document).until))

    assert found
    assert all(finding.startswith("missing ") for finding in found)


# -- tampering -------------------------------------------------------------------------------------


@pytest.fixture
def app(db: None) -> App:
    return make_app(name="mine")


@pytest.fixture
def hourly(app: App) -> Job:
    """A job that has run every hour for a day, up to 2026-03-03 00:00."""
    job = engine.submit(app, "hourly", now=at("2"), schedule=(cron("0 * * * *"),))
    for hour in range(24):
        engine.tick(at("2") + timedelta(hours=hour))
        engine.run(engine.task_of(job, at("2") + timedelta(hours=hour)), now=at(f"2 {hour}:1"))
        engine.tick(at(f"2 {hour}:2"))
    return job


NOW = at("2 23:30")


def test_a_ledger_in_order_is_counted(hourly: Job) -> None:
    findings = verify(now=NOW)

    assert (findings.expected, findings.present, findings.gaps) == (24, 24, 0)
    assert findings.is_well


def test_since_leaves_out_what_was_before(hourly: Job) -> None:
    Task.objects.filter(due_at=at("2 5:0")).delete()

    assert verify(now=NOW, since=at("2 6:0")).expected == 18
    assert verify(now=NOW, since=at("2 6:0")).is_well
    assert not verify(now=NOW, since=at("2 5:0")).is_well


@pytest.mark.parametrize("hour", [0, 5, 23])
def test_a_deleted_row_is_missing(hour: int, hourly: Job) -> None:
    due = at(f"2 {hour}:0")
    Task.objects.filter(due_at=due).delete()

    findings = verify(now=NOW)

    assert findings.missing == [(hourly, due)]
    assert (findings.expected, findings.present) == (24, 23)


def test_a_doubled_row_is_a_duplicate(hourly: Job) -> None:
    """Only a database that lost its constraint can hold one."""
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX task_one_per_slot")
    first = engine.task_of(hourly, at("2 5:0"))
    second = make_task(job=hourly, due_at=at("2 5:0"))

    findings = verify(now=NOW)

    assert findings.duplicate == [(hourly, at("2 5:0"), [first.pk, second.pk])]
    assert (findings.missing, findings.unexplained) == ([], [])


def test_a_second_task_of_a_one_off_is_a_duplicate(app: App) -> None:
    job = engine.submit(app, "once", now=at("2"), is_one_off=True)
    with connection.cursor() as cursor:
        cursor.execute("DROP INDEX task_one_per_one_off")
    make_task(job=job, kind=TaskKind.TEMP.value)

    ((found, _, task_ids),) = verify(now=NOW).duplicate

    assert (found, len(task_ids)) == (job, 2)


@pytest.mark.parametrize("is_claimed", [True, False])
def test_a_run_at_a_time_that_is_no_slot_is_unexplained(is_claimed: bool, hourly: Job) -> None:
    """Also if it says that the expression opened it."""
    opener = hourly.expressions.get() if is_claimed else None
    stray = make_task(job=hourly, due_at=at("2 5:7"), opened_by_expression=opener)

    assert verify(now=NOW).unexplained == [(hourly, stray)]


def test_other_kinds_of_tasks_are_no_slots(hourly: Job) -> None:
    make_task(job=hourly, due_at=at("2 5:7"), kind=TaskKind.MANUAL.value)

    assert verify(now=NOW).is_well


def test_a_gap_that_is_gone_leaves_its_slots_missing(app: App) -> None:
    job = engine.submit(
        app, "rare", now=at("2"), schedule=(cron("0 * * * *"),), expire_after=timedelta(hours=2)
    )
    engine.tick(at("2 10:0"))
    whole = verify(now=at("2 10:30"))
    Gap.objects.all().delete()

    findings = verify(now=at("2 10:30"))

    assert (whole.is_well, whole.expected, whole.gaps) == (True, 11, 9)
    assert [due for _, due in findings.missing] == [at(f"2 {hour}:0") for hour in range(9)]
    assert findings.missing[0][0] == job


def test_what_expressions_did_before_an_edit_stays_explained(app: App, hourly: Job) -> None:
    old = hourly.expressions.get()
    edits = [ScheduleEdit(mode=Edit.EDIT, expression_id=old.pk, text="30 * * * *")]

    set_schedule(hourly.pk, edits, app=app, user=ANN, now=NOW)

    assert shown(verify(now=NOW + timedelta(minutes=1))) == []


def test_what_a_deleted_expression_opened_is_explained_by_the_audit_log(
    app: App, hourly: Job
) -> None:
    edits = [
        ScheduleEdit(mode=Edit.DELETE, expression_id=hourly.expressions.get().pk),
        cron("30 * * * *"),
    ]
    set_schedule(hourly.pk, edits, app=app, user=ANN, now=NOW)
    assert shown(verify(now=NOW)) == []

    AuditEntry.objects.filter(action="job.edit").delete()

    assert len(verify(now=NOW).unexplained) == 24


def test_a_disabled_job_owes_what_came_before_and_nothing_since(app: App, hourly: Job) -> None:
    Task.objects.filter(due_at=at("2 5:0")).delete()
    set_status(hourly.pk, JobStatus.DISABLED, app=app, user=ANN, now=NOW)

    findings = verify(now=NOW + timedelta(days=9))

    assert findings.missing == [(hourly, at("2 5:0"))]


def test_an_expression_that_was_set_aside_leaves_its_slots_missing(hourly: Job) -> None:
    """X-9: a fault stops the cursor, not what is owed."""
    ScheduleExpression.objects.update(next_due_at=None, fault="ValueError: no")

    findings = verify(now=at("3 2:30"))

    assert [due for _, due in findings.missing] == [at("3"), at("3 1:0"), at("3 2:0")]


# -- runs that upstreams name ----------------------------------------------------------------------


@pytest.fixture
def named(app: App) -> Job:
    """A job without a schedule that has run each of two days after its upstream."""
    upstream = engine.submit(app, "upstream", now=at("2"), schedule=(cron("0 3 * * *"),))
    job = engine.submit(app, "child", now=at("2"), dependencies=(after(upstream),))
    for day in (2, 3):
        engine.tick(at(f"{day} 3:0"))
        engine.run(engine.task_of(upstream, at(f"{day} 3:0")), now=at(f"{day} 3:1"))
        engine.tick(at(f"{day} 3:2"))
        engine.run(engine.task_of(job, at(f"{day} 3:0")), now=at(f"{day} 3:3"))
        engine.tick(at(f"{day} 3:4"))
    return job


def test_named_runs_are_owed(named: Job) -> None:
    findings = verify(now=at("3 12:0"))

    assert (findings.expected, findings.present, findings.is_well) == (4, 4, True)


def test_a_named_run_that_is_gone_is_missing(named: Job) -> None:
    Task.objects.filter(job=named, due_at=at("2 3:0")).delete()

    assert verify(now=at("3 12:0")).missing == [(named, at("2 3:0"))]


def test_a_run_that_nothing_names_is_unexplained(named: Job) -> None:
    stray = make_task(TaskStatus.WAITING, job=named, due_at=at("2 4:0"))

    assert verify(now=at("3 12:0")).unexplained == [(named, stray)]


# -- the command -----------------------------------------------------------------------------------


def run_command(*words: str) -> tuple[dict[str, Any], int]:
    """Return what ``manage.py verify`` prints, and its exit code."""
    out, code = StringIO(), 0
    try:
        call_command("verify", *words, stdout=out)
    except SystemExit as end:
        code = int(end.code or 0)
    told: dict[str, Any] = json.loads(out.getvalue())
    return told, code


def minutely(app: App) -> tuple[Job, datetime]:
    """Return a job that ran every minute of the last five, and the first of its due times."""
    now = clock.now().replace(second=0, microsecond=0)
    start = now - timedelta(minutes=5)
    job = engine.submit(app, "minutely", now=start, schedule=(cron("* * * * *"),))
    engine.tick(now)
    return job, start


def test_the_command_prints_counts_and_no_finding_of_a_healthy_ledger(app: App) -> None:
    minutely(app)

    told, code = run_command()

    assert code == 0
    assert list(told) == ["expected", "present", "gaps", "missing", "duplicate", "unexplained"]
    assert told["expected"] == told["present"] >= 6
    assert told["missing"] == told["duplicate"] == told["unexplained"] == []


def test_the_command_lists_what_is_missing_and_exits_1(app: App) -> None:
    job, start = minutely(app)
    Task.objects.filter(due_at=start).delete()

    told, code = run_command()

    due = start.astimezone(job.zone).isoformat()
    assert told["missing"] == [{"jobId": job.pk, "jobName": "minutely", "due": due}]
    assert code == 1
    assert run_command("--since", (start + timedelta(seconds=1)).isoformat())[1] == 0


@pytest.mark.parametrize("silly", ["yesterday", "2026-13-01", "0001-01-01T00:00:00"])
def test_the_command_refuses_a_silly_instant(silly: str, db: None) -> None:
    with pytest.raises(CommandError, match="--since") as refused:
        call_command("verify", "--since", silly)

    assert refused.value.returncode == 2


def test_an_empty_system_is_well(db: None) -> None:
    make_job()

    assert run_command() == (
        {"expected": 0, "present": 0, "gaps": 0}
        | {"missing": [], "duplicate": [], "unexplained": []},
        0,
    )
