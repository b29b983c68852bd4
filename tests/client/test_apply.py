"""``sentinel apply`` and ``export`` on a running server."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobs.models import AuditEntry, DependencyEntry, Job
from jobs.rules.enums import AppKind, JobStatus
from sentinel_project.client.cli.exits import ExitCode
from sentinel_project.client.document.entries import DEFAULTS
from tests.builders import make_app, make_job
from tests.client.conftest import Connect, Done, Sentinel, Service

DOCUMENT = """\
jobs:
- jobName: report
  jobType: shell
  content: |
    echo "report of ${SENTINEL_DATA_TIME}"
  dependencyList:
  - job: extract
    offsetStrategy: d(-1)
  scheduleExpressionList:
  - expression: 0 5 * * *
- jobName: extract
  jobType: shell
  content: echo rows
  priority: 3
  params: {day: mon, at: 2026-03-02}
  scheduleExpressionList:
  - expression: 0 3 * * *
"""


def applied(sentinel: Sentinel, text: str, *words: str) -> Done:
    return sentinel("apply", "-f", "-", *words, stdin=text)


def actions(done: Done) -> dict[str, str]:
    assert done.returncode == ExitCode.DONE, done.stderr
    return {step["jobName"]: step["action"] for step in json.loads(done.stdout)}


def test_jobs_are_created_upstreams_first(sentinel: Sentinel) -> None:
    done = applied(sentinel, DOCUMENT)

    assert done.returncode == ExitCode.DONE, done.stderr
    assert done.stdout.startswith("create extract\n    next: ")
    assert "create report" in done.stdout
    assert done.stderr == "done: 2 create, 0 edit, 0 unchanged\n"
    dependency = DependencyEntry.objects.get()
    assert (dependency.job.name, dependency.upstream.name) == ("report", "extract")
    assert Job.objects.get(name="extract").extra == {"day": "mon", "at": "2026-03-02"}


def test_a_dry_run_says_the_same_and_changes_nothing(sentinel: Sentinel) -> None:
    done = applied(sentinel, DOCUMENT, "--dry-run")

    assert done.stdout.startswith("create extract\n    next: ")
    assert "not previewed, since it changes too: extract" in done.stdout
    assert done.stderr == "would be: 2 create, 0 edit, 0 unchanged\n"
    assert not Job.objects.exists()


def test_applying_again_changes_nothing(sentinel: Sentinel) -> None:
    applied(sentinel, DOCUMENT)
    audited = AuditEntry.objects.count()

    again = applied(sentinel, DOCUMENT, "-o", "json")

    assert actions(again) == {"extract": "unchanged", "report": "unchanged"}
    assert AuditEntry.objects.count() == audited


def test_what_is_exported_applies_without_a_change(
    sentinel: Sentinel, service: Service, connect: Connect
) -> None:
    other = connect(app=make_app(name="other").name)
    every_morning = [{"operatorMode": 1, "expression": "0 3 * * *"}]
    theirs = other.submit(
        jobName="theirs", jobType="dummy", content="{}", scheduleExpressionList=every_morning
    )
    Job.objects.filter(pk=theirs["jobId"]).update(is_shared=True)
    applied(sentinel, DOCUMENT)
    extract = Job.objects.get(name="extract").pk
    connect().submit(
        jobName='odd: "name" # ☃',
        jobType="shell",
        content="#!/bin/sh\n\ttabs  \n\n'quotes' \"both\"\n  $(date)\n\n",
        status=int(JobStatus.PAUSED),
        params={"nested": {"list": [1, 2.5, None, True, "true", "1", "on"]}, "empty": ""},
        bizGroups=",3,1,",
        department="finance",
        activeStartDate=1772600000123,
        failedAttempts=4,
        isSerial=True,
        misfirePolicy="last",
        timeZone="Europe/Berlin",
        dependencyList=[
            {"operatorMode": 1, "preJobId": extract, "commonStrategy": 2, "offsetStrategy": "cd"},
            {"operatorMode": 1, "preJobId": theirs["jobId"], "offsetStrategy": "cd"},
        ],
        scheduleExpressionList=every_morning,
    )
    connect().submit(jobName="once", jobType="shell", content="true", isTemp=True)
    before = list(Job.objects.order_by("pk").values())

    document = sentinel("export", "--one-offs").stdout
    again = applied(sentinel, document, "-o", "json")

    assert set(actions(again).values()) == {"unchanged"}
    assert list(Job.objects.order_by("pk").values()) == before
    assert "once" not in sentinel("export").stdout
    assert "odd" not in sentinel("export", "extract").stdout


def test_a_changed_document_edits_what_changed(sentinel: Sentinel) -> None:
    applied(sentinel, DOCUMENT)
    changed = (
        DOCUMENT.replace("priority: 3", "priority: 5")
        .replace("0 3 * * *", "0 4 * * *")
        .replace("d(-1)", "cd")
        .replace("- jobName: report\n", "- jobName: report\n  status: PAUSED\n")
    )

    done = applied(sentinel, changed)

    assert done.returncode == ExitCode.DONE, done.stderr
    for line in (
        "priority: 3 -> 5",
        "EDIT CRON '0 4 * * *' (was '0 3 * * *')",
        "EDIT upstream extract 'cd' ALL",
        "status: ACTIVE -> PAUSED",
    ):
        assert f"\n    {line}\n" in done.stdout
    job = Job.objects.get(name="report")
    assert (job.status, job.dependencies.get().offset) == (JobStatus.PAUSED, "cd")
    assert actions(applied(sentinel, changed, "-o", "json"))["report"] == "unchanged"


def test_a_dependency_can_be_turned_round(sentinel: Sentinel) -> None:
    first = document(a={"scheduleExpressionList": [{"expression": "0 3 * * *"}]}, b=after("a"))
    turned = document(a=after("b"), b={"scheduleExpressionList": [{"expression": "0 3 * * *"}]})
    applied(sentinel, first)

    assert set(actions(applied(sentinel, turned, "-o", "json")).values()) == {"edit"}

    dependency = DependencyEntry.objects.get()
    assert (dependency.job.name, dependency.upstream.name) == ("a", "b")


def test_one_refusal_leaves_everything_as_it_was(sentinel: Sentinel) -> None:
    wrong = document(
        good={},
        bad={"priority": 11, "scheduleExpressionList": [{"expression": "61 * * * *"}]},
        odd={"priorty": 1},
    )

    done = applied(sentinel, wrong)

    assert done.returncode == ExitCode.REFUSED
    assert "    refused: priority must be an integer from 0 to 10, not 11\n" in done.stdout
    assert "priorty" in done.stdout
    assert done.stderr == "2 of 3 jobs would be refused; nothing was changed\n"
    assert not Job.objects.exists()


@pytest.mark.parametrize(
    ("jobs", "said"),
    [
        ({"a": {"dependencyList": [{"job": "nobody"}]}}, "'a' waits for 'nobody'"),
        ({"a": {"dependencyList": [{"job": "a"}]}}, "in a circle: a -> a"),
        (
            {"a": {"dependencyList": [{"job": "b"}]}, "b": {"dependencyList": [{"job": "a"}]}},
            "in a circle",
        ),
    ],
)
def test_a_document_that_contradicts_itself_is_one_line(
    sentinel: Sentinel, jobs: dict[str, Any], said: str
) -> None:
    done = applied(sentinel, document(**jobs))

    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.USAGE, 1)
    assert said in done.stderr


def test_a_file_that_is_no_yaml_is_named_with_the_place(sentinel: Sentinel) -> None:
    (sentinel.home / "jobs.yaml").write_text("jobs:\n- jobName: [\n")

    done = sentinel("apply", "-f", "jobs.yaml")

    assert (done.returncode, done.stderr.count("\n")) == (ExitCode.USAGE, 1)
    assert "jobs.yaml is no YAML" in done.stderr
    assert "line 3" in done.stderr


def test_an_admin_app_applies_to_its_own_jobs(sentinel: Sentinel, service: Service) -> None:
    type(service.app).objects.filter(pk=service.app.pk).update(kind=AppKind.ADMIN.value)
    theirs = make_job(app=make_app(name="other"), name="extract")

    assert applied(sentinel, DOCUMENT).returncode == ExitCode.DONE

    theirs.refresh_from_db()
    assert theirs.content == "{}"
    assert Job.objects.filter(name="extract").count() == 2
    assert "other" not in sentinel("export").stdout


def test_defaults_of_documents_are_those_of_the_server(connect: Connect) -> None:
    client = connect()
    made = client.submit(jobName="x", jobType="dummy", content="{}")

    definition = client.job(made["jobId"])

    assert {name: definition[name] for name in DEFAULTS} == DEFAULTS


def after(name: str) -> dict[str, Any]:
    return {"dependencyList": [{"job": name, "offsetStrategy": ""}]}


def document(**jobs: dict[str, Any]) -> str:
    """Return a document in JSON, which is YAML too."""
    entries = [
        {"jobName": name, "jobType": "dummy", "content": "{}", **words}
        for name, words in jobs.items()
    ]
    return json.dumps({"jobs": entries})
