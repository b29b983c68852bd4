"""The database goes away and comes back: connections are made anew, and nothing is lost."""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from django.db import connection

from tasks_app.wakeup import Listener
from tests.flow.executions import eventually
from tests.flow.processes import ROOT, SUCCESS, Installation
from tests.proxy import Proxy

pytestmark = [pytest.mark.postgres, pytest.mark.xdist_group("processes"), pytest.mark.timeout(300)]

SERVER = ("127.0.0.1", 5432)


@pytest.fixture(scope="module")
def proxy() -> Iterator[Proxy]:
    made = Proxy(*SERVER)
    yield made
    made.close()


@pytest.fixture(scope="module")
def sentinel(proxy: Proxy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation whose database lies behind the proxy."""
    name = f"sentinel_test_{secrets.token_hex(6)}"
    try:
        control = psycopg2.connect(f"postgres://postgres@{SERVER[0]}/postgres", connect_timeout=3)
    except psycopg2.OperationalError as error:
        pytest.skip(f"needs PostgreSQL on the loopback: {error}")
    control.autocommit = True
    with control.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE {name}")
        installation = Installation(
            tmp_path_factory.mktemp("outage") / "run",
            SENTINEL_DATABASE_URL=f"postgres://postgres@127.0.0.1:{proxy.port}/{name}",
        )
        with installation.running():
            yield installation
        cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    control.close()


def attempts(sentinel: Installation, job_id: int) -> list[dict[str, Any]]:
    tasks = sentinel.tasks(job_id)
    if not tasks:
        return []
    task = sentinel.call("/api/task/query", taskId=tasks[0]["taskId"])
    return list(task["attempts"])


def tries(sentinel: Installation, job_id: int) -> int:
    return len(attempts(sentinel, job_id))


def has_started(sentinel: Installation, job_id: int) -> bool:
    return any(attempt["startTime"] for attempt in attempts(sentinel, job_id))


@pytest.mark.parametrize("how", ["cut", "freeze"])
def test_an_outage_shorter_than_a_lease_costs_nothing(
    sentinel: Installation, proxy: Proxy, how: str
) -> None:
    """A run that ends meanwhile is reported afterwards, and one that goes on is not disturbed."""
    short = sentinel.submit("sleep 4; echo short")
    long = sentinel.submit("sleep 14; echo long")
    assert eventually(lambda: has_started(sentinel, short) and has_started(sentinel, long))

    getattr(proxy, how)()
    assert not eventually(lambda: False, within=6)  # that long it lasts
    proxy.heal()

    assert sentinel.ends(short, SUCCESS, within=60)
    assert sentinel.ends(long, SUCCESS, within=60)
    assert (tries(sentinel, short), tries(sentinel, long)) == (1, 1)


@pytest.mark.parametrize("comes", [True, False], ids=["it comes", "stopped meanwhile"])
def test_a_beat_that_starts_before_its_database_waits_for_it(
    sentinel: Installation, proxy: Proxy, tmp_path: Path, *, comes: bool
) -> None:
    own, log = Proxy(*SERVER), tmp_path / "log"
    own.cut()
    url = sentinel.env["SENTINEL_DATABASE_URL"].replace(str(proxy.port), str(own.port))
    command = [sys.executable, "-m", "celery", "-q", "-A", "sentinel_project.celery", "beat"]
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [*command, "--pidfile="],
            cwd=ROOT,
            env=sentinel.env | {"SENTINEL_DATABASE_URL": url},
            stdout=output,
            stderr=subprocess.STDOUT,
        ) as beat,
    ):
        try:
            assert eventually(lambda: log.read_text().count('"beat.database_failed"') > 1, 60)
            if comes:
                own.heal()
                assert eventually(lambda: is_known(sentinel, beat.pid), 60)
        finally:
            beat.terminate()
            assert beat.wait(30) == 0
            own.close()


def is_known(sentinel: Installation, pid: int) -> bool:
    """Tell whether a beat has told the database that it is there."""
    with closing(psycopg2.connect(sentinel.env["SENTINEL_DATABASE_URL"])) as link:
        cursor = link.cursor()
        cursor.execute("SELECT 1 FROM tasks_app_scheduler WHERE name LIKE %s", [f"%.{pid}"])
        return cursor.fetchone() is not None


def test_beat_outlives_a_lost_connection(postgres: None) -> None:
    """It waits on a connection of its own, where the driver's errors are not Django's."""
    listener = Listener()
    listener.mark()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
        assert cursor.fetchone() == (1,)

    def hears_again() -> bool:
        listener.mark()
        with connection.cursor() as cursor:
            cursor.execute("NOTIFY sentinel")
        return listener.wait(1)

    assert eventually(hears_again)
    listener.close()
