"""What a job of the type ``hive`` does by Hive's own ``beeline``, on a real server."""

from __future__ import annotations

import re
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks_app.executors.base import Ending, Outcome, StopReason
from tests.flow.executions import Kept, Run, make_execution
from tests.hive.server import HiveServer, eventually


@pytest.fixture(autouse=True)
def command(hive: HiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set up this worker's program as docs/jobtypes.md tells it."""
    beeline = f"env SPARK_HOME={hive.spark} {hive.spark}/bin/beeline -n ann --silent=true"
    form = "--showProgress=false --outputformat=tsv2"
    monkeypatch.setenv("SENTINEL_HIVE_COMMAND", f"{beeline} {form} -u {{url}} -f {{content}}")
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")


def rows_of(kept: Kept) -> bytes:
    """Return what it printed without the prompt that beeline 2.3 draws there now and then."""
    return re.sub(rb"\rnull *\rnull", b"", kept.result_bytes)


def start(content: str, server: HiveServer, root: Path, *, timeout: timedelta | None = None) -> Run:
    changes: dict[str, Any] = {
        "job_type": "hive",
        "extra": {"connection": "wh"},
        "credentials": {"wh": f"jdbc:hive2://127.0.0.1:{server.port}/default"},
        "timeout": timeout,
    }
    return Run(make_execution(content, root=root, **changes))


def run(content: str, server: HiveServer, root: Path) -> tuple[Outcome, Kept]:
    running = start(content, server, root)
    return running.outcome(100), running.kept


def endless() -> tuple[str, str]:
    marker = uuid.uuid4().hex
    return f"SELECT '{marker}', count(*) FROM range(0, 10000000000000) WHERE id % 7 = 3;", marker


def test_the_content_runs_in_one_session_and_its_rows_are_the_result(
    hive: HiveServer, tmp_path: Path
) -> None:
    outcome, kept = run(
        "SET my.day=7;\nSELECT 'a;b' AS x, 'größer' AS y, '${my.day}' AS d;\nSELECT 1 AS last",
        hive,
        tmp_path,
    )

    assert (outcome.ending, outcome.exit_code) == (Ending.SUCCESS, 0), kept.log_bytes
    lines = rows_of(kept).decode().splitlines()
    assert lines == ["key\tvalue", "my.day\t7", "x\ty\td", "a;b\tgrößer\t7", "last", "1"]


def test_a_failure_is_an_exit_code_and_the_servers_words_in_the_log(
    hive: HiveServer, tmp_path: Path
) -> None:
    outcome, kept = run("SELECT 1 AS a;\nSELECT * FROM nowhere;\nSELECT 2;", hive, tmp_path)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "EXIT_CODE")
    assert "[TABLE_OR_VIEW_NOT_FOUND]" in kept.log_bytes.decode()
    assert rows_of(kept) == b"a\n1\n"


def test_many_rows_arrive_whole(hive: HiveServer, tmp_path: Path) -> None:
    outcome, kept = run("SELECT id FROM range(50000);", hive, tmp_path)

    assert outcome.ending is Ending.SUCCESS
    assert rows_of(kept) == b"id\n" + b"".join(b"%d\n" % n for n in range(50_000))


def test_a_kill_ends_the_program_and_what_runs_on_the_server(
    hive: HiveServer, tmp_path: Path
) -> None:
    content, marker = endless()
    running = start(content, hive, tmp_path)
    assert eventually(lambda: bool(hive.running(marker)))

    running.stop(StopReason.KILL)

    assert running.outcome(100).ending is Ending.KILLED
    assert eventually(lambda: not hive.running(marker))


def test_what_takes_too_long_is_ended_on_the_server_too(hive: HiveServer, tmp_path: Path) -> None:
    content, marker = endless()
    running = start(content, hive, tmp_path, timeout=timedelta(seconds=20))
    assert eventually(lambda: bool(hive.running(marker)))

    assert running.outcome(100).reason == "TIMEOUT"
    assert eventually(lambda: not hive.running(marker))
