"""``manage.py simulate`` from the outside: what it prints and must not touch (D-72)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from django.db import connection
from pytest_django.plugin import DjangoDbBlocker

from jobs.models import Job
from tests.builders import make_job
from tests.engine import rehearse
from tests.flow.documents import DAILY, DOCUMENT, Simulate

ROOT = Path(__file__).parents[2]


def command(*arguments: str, text: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a user does, in a process of its own."""
    return subprocess.run(
        [sys.executable, "manage.py", "simulate", *arguments],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={**os.environ, **environ},
    )


# -- what comes out --------------------------------------------------------------------------------


def test_it_prints_one_document_and_ends_well(simulate: Simulate) -> None:
    code, out, err = simulate(DOCUMENT)

    assert (code, err) == (0, "")
    report = json.loads(out)
    assert set(report) == {"tasks", "gaps", "refused", "answers"}
    assert [task["id"] for task in report["tasks"]] == [
        "A@2026-03-02T12:00:00",
        "B@2026-03-02T12:00:00",
        "A@2026-03-03T12:00:00",
        "B@2026-03-03T12:00:00",
    ]
    assert report["tasks"][0] == {
        "id": "A@2026-03-02T12:00:00",
        "job": "A",
        "kind": "SCHEDULE",
        "due": "2026-03-02T12:00:00",
        "data": "2026-03-02T12:00:00",
        "status": "SUCCESS",
        "reason": None,
        "opened": "2026-03-02T12:00:00",
        "released": "2026-03-02T12:00:00",
        "started": "2026-03-02T12:00:00",
        "ended": "2026-03-02T12:01:00",
        "attempts": [
            {
                "n": 1,
                "start": "2026-03-02T12:00:00",
                "end": "2026-03-02T12:01:00",
                "status": "SUCCESS",
            }
        ],
    }


def test_yaml_says_the_same(simulate: Simulate) -> None:
    text = """
zone: Asia/Shanghai
start: '2026-03-02T00:00:00'
until: '2026-03-04T00:00:00'
jobs:
  - {id: A, schedule: [{type: 1, expression: '0 0 12 * * ?'}], duration: 60}
  - {id: B, dependencies: [{pre: A, offset: ''}]}
"""
    assert simulate(text, suffix="yaml")[1] == simulate(DOCUMENT)[1]


def test_unquoted_yaml_instants_are_instants_too(simulate: Simulate) -> None:
    text = """
start: 2026-03-02T00:00:00
until: 2026-03-03T00:00:00
jobs: [{id: A, schedule: [{type: 1, expression: '0 0 12 * * ?'}]}]
"""
    code, out, err = simulate(text, suffix="yaml")

    assert (code, err) == (0, "")
    assert len(json.loads(out)["tasks"]) == 1


def test_pretty_is_a_table_with_a_line_a_task(simulate: Simulate) -> None:
    code, out, _ = simulate(DOCUMENT, "--pretty")

    assert code == 0
    heading, *lines = out.strip().splitlines()
    assert heading.split()[:3] == ["id", "kind", "status"]
    assert len(lines) == 4
    assert lines[0].split()[:3] == ["A@2026-03-02T12:00:00", "SCHEDULE", "SUCCESS"]


def test_pretty_tells_gaps_and_refusals(simulate: Simulate) -> None:
    retry = {"at": "2026-03-02T13:00:00", "do": "retry", "task": "A@2026-03-02T12:00:00"}
    outage = {"at": "2026-03-03T11:00:00", "do": "outage", "to": "2026-03-03T13:00:00"}
    job = {"id": "A", "schedule": [DAILY], "misfirePolicy": "skip"}

    _, out, _ = simulate(DOCUMENT | {"jobs": [job], "actions": [retry, outage]}, "--pretty")

    assert "\ngap: " in out
    assert "\nrefused: " in out


def test_the_order_of_the_jobs_means_nothing(django_db_blocker: DjangoDbBlocker) -> None:
    """5-simulation.md: jobs of one instant are one set."""
    backwards = DOCUMENT | {"jobs": list(reversed(DOCUMENT["jobs"]))}

    with django_db_blocker.unblock():
        assert rehearse(backwards) == rehearse(DOCUMENT)


def test_a_file_that_is_not_there_ends_with_two() -> None:
    ended = command("no-such-file.json")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert "no-such-file.json" in ended.stderr


# -- what it leaves alone --------------------------------------------------------------------------


def test_it_needs_no_database_and_no_broker() -> None:
    nowhere = {
        "SENTINEL_DATABASE_URL": "postgres://nobody@127.0.0.1:1/nothing",
        "SENTINEL_BROKER_URL": "redis://127.0.0.1:1/0",
    }

    ended = command("-", text=json.dumps(DOCUMENT), **nowhere)

    assert (ended.returncode, ended.stderr) == (0, "")
    assert len(json.loads(ended.stdout)["tasks"]) == 4


def test_the_configured_database_stays_as_it_is(simulate: Simulate, committed_db: None) -> None:
    make_job(name="mine")
    path = connection.settings_dict["NAME"]

    simulate(DOCUMENT)

    assert connection.settings_dict["NAME"] == path
    assert [job.name for job in Job.objects.all()] == ["mine"]


def test_two_runs_print_the_same_bytes() -> None:
    text = json.dumps(
        DOCUMENT | {"actions": [{"at": "2026-03-03T01:00:00", "do": "run", "job": "A"}]}
    )

    first, second = (command("-", text=text, PYTHONHASHSEED=seed) for seed in ("1", "2"))

    assert first.returncode == 0
    assert first.stdout == second.stdout
