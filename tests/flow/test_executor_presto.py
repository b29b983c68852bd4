"""What a job of the types ``presto`` and ``trino`` says to a server: here a protocol double."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks_app.executors import presto
from tasks_app.executors.base import Ending, Outcome, StopReason
from tests.flow.executions import Kept, Run, eventually, make_execution
from tests.flow.presto_double import Double, serving


@pytest.fixture
def server() -> Iterator[Double]:
    with serving() as made:
        yield made


def start(content: str, server: Double, *, timeout: timedelta | None = None, **extra: Any) -> Run:
    scheme = server.family.split("-")[1].lower()
    return Run(
        make_execution(
            content,
            root=Path("/nonexistent"),
            job_type=scheme,
            extra={"connection": "wh", **extra},
            credentials={"wh": f"{scheme}://ann@127.0.0.1:{server.port}/hive/sales"},
            timeout=timeout,
        )
    )


def run(content: str, server: Double, **extra: Any) -> tuple[Outcome, Kept]:
    running = start(content, server, **extra)
    return running.outcome(), running.kept


SERIES = (
    "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {}) SELECT n FROM s"
)


def test_all_pages_arrive_in_order(server: Double) -> None:
    outcome, kept = run(
        f"{SERIES.format(5000)}; SELECT 'größer; 🙂' AS g, NULL AS h", server, maxRows=-1
    )

    assert (outcome.ending, outcome.message) == (Ending.SUCCESS, "2 statements done.")
    numbers = "".join(f"{n}\n" for n in range(1, 5001))
    assert kept.result_bytes.decode() == f"n\n{numbers}g\th\ngrößer; 🙂\t\\N\n"


@pytest.mark.parametrize("family", ["X-Trino-", "X-Presto-"])
def test_the_headers_are_of_the_connections_family(family: str) -> None:
    with serving(family) as server:
        assert run("SELECT 1", server)[0].ending is Ending.SUCCESS

    [headers] = server.headers
    assert {name: value for name, value in headers.items() if name.startswith("X-")} == {
        f"{family}User": "ann",
        f"{family}Source": "sentinel",
        f"{family}Catalog": "hive",
        f"{family}Schema": "sales",
    }


def test_a_setting_holds_for_the_statements_that_follow(server: Double) -> None:
    run("SET SESSION a=1; SET SESSION b='x'; SELECT 1", server)

    sent = [headers.get("X-Trino-Session") for headers in server.headers]
    assert sent == [None, "a=1", "a=1,b='x'"]


def test_a_failure_has_the_words_of_the_server(server: Double) -> None:
    outcome, kept = run("SELECT 1;\nSELECT * FROM nowhere", server)

    assert (outcome.reason, outcome.is_final) == ("BACKEND", False)
    text = "Statement 2 of 2, line 2: SYNTAX_ERROR: no such table: nowhere"
    assert outcome.message == text
    assert text in kept.log_bytes.decode()


def test_rows_beyond_the_cap_are_cancelled_and_not_fetched(server: Double) -> None:
    outcome, kept = run(f"{SERIES.format(10**9)} LIMIT 100000; SELECT 'after'", server, maxRows=3)

    assert outcome.ending is Ending.SUCCESS
    assert kept.result_bytes == b"n\n1\n2\n3\n'after'\nafter\n"
    assert (server.deleted, server.running) == (["q1"], {})
    assert "cut after 3 rows" in kept.log_bytes.decode()


def test_rows_that_came_count_whether_or_not_the_rest_could_be_cancelled(server: Double) -> None:
    server.hangs_up = True

    outcome, kept = run(f"{SERIES.format(10**9)} LIMIT 100000; SELECT 'after'", server, maxRows=3)

    assert outcome.ending is Ending.SUCCESS
    assert kept.result_bytes == b"n\n1\n2\n3\n'after'\nafter\n"
    assert "the server was not told to stop" in kept.log_bytes.decode()


def test_a_kill_cancels_the_statement_on_the_server(server: Double) -> None:
    running = start("HANG", server)
    assert eventually(lambda: "q1" in server.running)

    running.stop(StopReason.KILL)

    assert running.outcome().ending is Ending.KILLED
    assert "q1" in server.deleted
    assert server.running == {}
    assert "RUNNING: 1 of 4 splits" in running.kept.log_bytes.decode()


def test_a_statement_that_takes_too_long_is_cancelled(server: Double) -> None:
    outcome = start("HANG", server, timeout=timedelta(seconds=1)).outcome()

    assert (outcome.reason, server.running) == ("TIMEOUT", {})
    assert "q1" in server.deleted


def test_a_busy_server_is_asked_again(server: Double) -> None:
    server.busy = 3

    outcome, kept = run("SELECT 1 AS a", server)

    assert (outcome.ending, kept.result_bytes) == (Ending.SUCCESS, b"a\n1\n")
    assert kept.log_bytes.decode().count("answered 503, asking again") == 3


def test_a_page_beyond_all_measure_is_not_read_and_its_statement_cancelled(
    server: Double, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presto, "_MAX_PAGE", 10_000)
    query = "SELECT printf('%.*c', {}, 'x') AS a"

    right, _ = run(query.format(9_000), server)
    outcome, _ = run(query.format(10_000), server)

    assert right.ending is Ending.SUCCESS
    assert (outcome.reason, outcome.is_final) == ("BACKEND", False)
    assert "a page of the answer is longer than 10000 bytes" in outcome.message
    assert server.deleted == ["q2"]


def test_no_server_is_told_and_may_be_tried_again(server: Double) -> None:
    server.port = 9

    outcome, _ = run("SELECT 1", server)

    assert (outcome.reason, outcome.is_final) == ("BACKEND", False)
    assert "onnection refused" in outcome.message


@pytest.mark.parametrize("address", ["mysql://a/b", "trino://", "trino://a:x/", "trino://a/?b=c"])
def test_an_address_that_cannot_be_used_is_final(address: str) -> None:
    execution = make_execution(
        "SELECT 1",
        root=Path("/nonexistent"),
        job_type="trino",
        extra={"connection": "wh"},
        credentials={"wh": address},
    )

    outcome = Run(execution).outcome()

    assert (outcome.reason, outcome.is_final) == ("BAD_PARAMS", True)
    assert "wh is no address such as trino://user@host:8080/catalog" in outcome.message
