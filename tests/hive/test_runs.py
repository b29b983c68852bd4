"""Hive jobs as a worker runs them: connections of the group, masked passwords, another try."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest

from jobs.credential_services import Place, set_credential
from jobs.models import WorkerGroup
from jobs.rules.enums import CredentialKind
from tasks_app.rules.states import TaskStatus
from tests.builders import NOW
from tests.flow.runs import job_of, run, run_again
from tests.hive.server import HiveServer

pytestmark = pytest.mark.usefixtures("committed_db")


def connect(address: str, group: WorkerGroup | None = None) -> None:
    set_credential(
        "wh",
        address,
        kind=CredentialKind.CONNECTION,
        place=Place(group=group),
        by=None,
        user="olga",
        now=NOW,
    )


def test_a_job_that_fails_is_tried_again_and_may_succeed_then(hive: HiveServer) -> None:
    connect(hive.address)
    name = f"t{uuid.uuid4().hex}"
    job = job_of(
        "hive",
        f"SELECT $YTD(yyyy) AS y FROM {name}",
        extra={"connection": "wh"},
        max_retries=1,
        retry_interval=timedelta(0),
    )

    first = run(job)
    run(job_of("hive", f"CREATE TABLE {name} AS SELECT 1 AS a", extra={"connection": "wh"}))
    second = run_again(first.task.pk)

    assert (first.task.status, first.attempt.reason) == (TaskStatus.READY, "BACKEND")
    assert (second.ending, second.result) == (("SUCCESS", ""), "y\n2026\n")


def test_each_group_may_go_its_own_way_with_the_same_job(
    hive: HiveServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By HiveServer2 in the one, by a program in the other; ``cat`` stands for the program."""
    other = WorkerGroup.objects.create(name="other")
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    monkeypatch.setenv(
        f"SENTINEL_HIVE_COMMAND_{other.pk}", "sh -c 'echo $1; cat $0' {content} {url}"
    )
    connect(hive.address)
    connect("jdbc:hive2://other.example:10000/db", other)
    words = {"extra": {"connection": "wh"}}

    here = run(job_of("hive", "SELECT 1 AS a", **words))
    there = run(job_of("hive", "SELECT 1 AS a", worker_group=other, **words))

    assert (here.ending, here.result) == (("SUCCESS", ""), "a\n1\n")
    assert (there.ending, there.result) == (("SUCCESS", ""), "***\nSELECT 1 AS a\n"), there.log


def test_the_password_of_an_address_is_seen_nowhere(hive: HiveServer) -> None:
    connect(f"hive://ann:s3cr3t-word@127.0.0.1:{hive.port}/default")

    ran = run(job_of("hive", "SELECT 's3cr3t-word' AS a; broken", extra={"connection": "wh"}))

    assert ran.ending == ("FAILED", "BACKEND")
    assert ran.result == "a\n***\n"
    assert "s3cr3t" not in ran.log + ran.task.reason_text
