"""Jobs with a named connection as a worker runs them: found, masked, retried, refused for good."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.credential_services import Place, set_credential
from jobs.rules.enums import CredentialKind
from tasks_app.rules.states import TaskStatus
from tests.builders import NOW
from tests.flow.runs import job_of, run, run_again

pytestmark = pytest.mark.usefixtures("committed_db")


def connect(name: str, address: str) -> None:
    set_credential(
        name,
        address,
        kind=CredentialKind.CONNECTION,
        place=Place(),
        by=None,
        user="olga",
        now=NOW,
    )


def test_a_query_that_fails_is_tried_again_and_may_succeed_then(tmp_path: Path) -> None:
    path = tmp_path / "wh.db"
    connect("wh", f"sqlite:///{path}")
    job = job_of(
        "sql",
        "SELECT $YTD(yyyy) AS y FROM t",
        extra={"connection": "wh"},
        max_retries=1,
        retry_interval=timedelta(0),
    )

    first = run(job)
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE t AS SELECT 1")
    second = run_again(first.task.pk)

    assert first.task.status == TaskStatus.READY
    assert first.attempt.reason == "BACKEND"
    assert second.ending == ("SUCCESS", "")
    assert second.result == "y\n2026\n"


def test_the_password_of_an_address_is_seen_nowhere() -> None:
    connect("wh", "postgres://ann:s3cr3t-word@127.0.0.1:9/wh")

    ran = run(job_of("sql", "SELECT 's3cr3t-word'", extra={"connection": "wh"}))

    assert ran.ending == ("FAILED", "BACKEND")
    assert "s3cr3t" not in ran.log + ran.task.reason_text
    assert "onnection refused" in ran.log


def test_a_connection_that_nobody_registered_spends_no_retry() -> None:
    ran = run(job_of("sql", "SELECT 1", extra={"connection": "gone"}, max_retries=3))

    assert ran.ending == ("FAILED", "BAD_PARAMS")
    assert "nothing is registered as gone" in ran.task.reason_text
