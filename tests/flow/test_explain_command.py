"""``manage.py explain``: the gates of a run on the command line (D-70)."""

from __future__ import annotations

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from jobs.models import App
from tasks_app.rules.states import TaskStatus
from tests import engine
from tests.builders import make_app, make_task
from tests.engine import after, at, cron


@pytest.fixture
def app(db: None) -> App:
    return make_app(name="mine")


def explained(*words: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(printed(*words))
    return told


def printed(*words: str) -> str:
    out = StringIO()
    call_command("explain", *words, stdout=out)
    return out.getvalue()


def test_a_task_is_explained_by_its_id(app: App) -> None:
    upstream = engine.submit(app, "upstream", now=at("2"), schedule=(cron("0 3 * * *"),))
    link = after(upstream)
    job = engine.submit(
        app, "job", now=at("2"), schedule=(cron("0 5 * * *"),), dependencies=(link,)
    )
    task = make_task(TaskStatus.WAITING, job=job, due_at=at("3 5:0"))

    told = explained(str(task.pk))

    assert (told["job"], told["task"], told["status"]) == (job.pk, task.pk, "WAITING")
    assert told["due"] == "2026-03-03T05:00:00+08:00"
    (gate,) = [gate for gate in told["gates"] if gate["gate"] == f"dependency:{upstream.pk}"]
    assert gate["state"] == "blocking"
    assert gate["window"] == ["2026-03-03T00:00:00+08:00", "2026-03-04T00:00:00+08:00"]
    assert gate["expected"] == [{"due": "2026-03-03T03:00:00+08:00", "status": None}]


def test_a_run_without_a_task_is_explained_by_job_and_due_time_in_its_zone(app: App) -> None:
    job = engine.submit(app, "job", now=at("2"), schedule=(cron("0 5 * * *"),))

    told = explained(str(job.pk), "2026-03-03T05:00:00")
    other = explained(str(job.pk), "2026-03-03T06:00:00+08:00")

    assert (told["due"], told["task"]) == ("2026-03-03T05:00:00+08:00", None)
    states = [{gate["gate"]: gate["state"] for gate in each["gates"]} for each in (told, other)]
    assert [(each["slot"], each["opened"]) for each in states] == [
        ("passed", "blocking"),
        ("blocking", "not_reached"),
    ]


def test_lines_are_for_people(app: App) -> None:
    job = engine.submit(app, "job", now=at("2"), schedule=(cron("0 5 * * *"),))
    task = make_task(TaskStatus.SUCCESS, job=job, due_at=at("3 5:0"))

    lines = printed(str(task.pk), "--pretty").splitlines()

    head = f"job {job.pk} (job) due 2026-03-03T05:00:00+08:00: task {task.pk} SUCCESS"
    assert lines[:2] == [head, "ok job_status"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["1000000000"], "no task 1000000000"),
        (["1000000000", "2026-03-03"], "no job 1000000000"),
    ],
)
def test_what_is_not_there_is_refused(words: list[str], said: str, db: None) -> None:
    with pytest.raises(CommandError, match=said) as refused:
        printed(*words)

    assert refused.value.returncode == 2


def test_a_silly_due_time_is_refused(app: App) -> None:
    job = engine.submit(app, "job", now=at("2"))

    with pytest.raises(CommandError, match="DUE 'noon' is no time"):
        printed(str(job.pk), "noon")


def test_a_run_is_explained_as_it_was(app: App) -> None:
    job = engine.submit(app, "job", now=at("2"), schedule=(cron("0 5 * * *"),))
    task = make_task(job=job, due_at=at("3 5:0"), opened_at=at("3 5:0"))
    engine.run(task, now=at("3 7:0"))

    told = explained(str(task.pk), "--at", "2026-03-03T06:00:00")
    lines = printed(str(task.pk), "--at", "2026-03-03T06:00:00", "--pretty").splitlines()

    (gate,) = (gate for gate in told["gates"] if gate["state"] == "blocking")
    assert (told["at"], gate["gate"]) == ("2026-03-03T06:00:00+08:00", "dispatched")
    assert gate["since"] == "2026-03-03T05:00:00+08:00"
    assert lines[0].endswith("SUCCESS, as it was at 2026-03-03T06:00:00+08:00")
    assert any(line.endswith("since 2026-03-03T05:00:00+08:00") for line in lines)


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("2026-03-03T04:00:00", "--at: task .* was opened later"),
        ("2026-03-01T04:00:00", "--at: job .* was submitted later"),
        ("2099-03-01T04:00:00", "--at: it lies in the future"),
        ("yesterday", "--at 'yesterday' is no time"),
    ],
)
def test_a_silly_instant_is_refused(app: App, when: str, said: str) -> None:
    job = engine.submit(app, "job", now=at("2"), schedule=(cron("0 5 * * *"),))
    task = make_task(job=job, due_at=at("3 5:0"), opened_at=at("3 5:0"))

    with pytest.raises(CommandError, match=said) as refused:
        printed(str(task.pk), "--at", when)

    assert refused.value.returncode == 2
