"""What a job of the type ``hive`` does on a real server, by HiveServer2's protocol."""

from __future__ import annotations

import hashlib
import json
import threading
import tracemalloc
import uuid
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks_app.executors.base import Ending, Fenced, Outcome, Output, StopReason
from tests.flow.executions import Kept, Run, make_execution
from tests.hive.server import HiveServer, eventually
from tests.proxy import Proxy

STARTED: list[Run] = []


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """End what a test that fails has not ended, or all those after it would have to wait for it."""
    yield
    for running in STARTED:
        running.stop(StopReason.KILL)
    for running in STARTED:
        running.outcome(100)
    STARTED.clear()


def start(
    content: str,
    address: str,
    *,
    timeout: timedelta | None = None,
    output: Output | None = None,
    **extra: Any,
) -> Run:
    running = Run(
        make_execution(
            content,
            root=Path("/nonexistent"),
            job_type="hive",
            extra={"connection": "wh", **extra},
            credentials={"wh": address},
            timeout=timeout,
        ),
        output,
    )
    STARTED.append(running)
    return running


def run(content: str, server: HiveServer, **extra: Any) -> tuple[Outcome, Kept]:
    running = start(content, server.address, **extra)
    return running.outcome(100), running.kept


def endless() -> tuple[str, str]:
    """Return a statement that takes hours, and the word in it that no other has."""
    marker = uuid.uuid4().hex
    return f"SELECT '{marker}', count(*) FROM range(0, 10000000000000) WHERE id % 7 = 3", marker


def test_rows_are_lines_with_a_header_and_nothing_is_lost_in_them(hive: HiveServer) -> None:
    name = f"t{uuid.uuid4().hex}"

    outcome, kept = run(
        f"CREATE TABLE {name} (id INT, name STRING, price DECIMAL(12, 3)) STORED AS PARQUET;\n"
        f"INSERT INTO {name} VALUES"
        " (1, 'größer; 🙂', 1.5), (2, NULL, NULL), (3, 'a\tb\\nc', 0.125);"
        f"-- a comment; here\nSELECT * FROM {name} ORDER BY id;",
        hive,
    )

    assert (outcome.ending, outcome.message) == (Ending.SUCCESS, "3 statements done.")
    assert kept.result_bytes.decode() == (
        "id\tname\tprice\n1\tgrößer; 🙂\t1.500\n2\t\\N\t\\N\n3\ta\\tb\\nc\t0.125\n"
    )


def test_values_are_written_as_the_server_has_them(hive: HiveServer) -> None:
    _, kept = run(
        "SELECT timestamp'12026-01-02 03:04:05.123456' a, date'2026-01-02' b, true c,"
        " 12345678901234567890.5 d, cast('\\\\xff' AS binary) e, array(1, NULL) f, map('k', 1) g,"
        " CAST(1.5 AS float) h, CAST(9223372036854775807 AS bigint) i, CAST(7 AS tinyint) j,"
        " NULL k",
        hive,
    )

    header, values = kept.result_bytes.decode().splitlines()
    assert header.split("\t") == list("abcdefghijk")
    assert values.split("\t") == [
        *("+12026-01-02 03:04:05.123456", "2026-01-02", "true", "12345678901234567890.5"),
        *("\\\\x5c786666", "[1,null]", '{"k":1}', "1.5", "9223372036854775807", "7", "\\N"),
    ]


def test_each_null_is_where_the_server_has_it(hive: HiveServer) -> None:
    _, kept = run(
        "SELECT IF(id % 3 = 1, NULL, id) AS a, IF(id % 7 = 2, NULL, 'x') AS b FROM range(999)", hive
    )

    rows = (("\\N" if n % 3 == 1 else str(n), "\\N" if n % 7 == 2 else "x") for n in range(999))
    assert kept.result_bytes.decode() == "a\tb\n" + "".join(f"{a}\t{b}\n" for a, b in rows)


def test_rows_can_be_json_and_null_another_word(hive: HiveServer) -> None:
    _, as_json = run("SELECT 1 AS a, NULL AS b, 'ü' AS a, 0.10 AS d", hive, format="json")
    _, as_text = run("SELECT 1 AS a, NULL AS b", hive, nullAs="-")

    assert json.loads(as_json.result_bytes) == {"a": 1, "b": None, "a_2": "ü", "d": "0.10"}
    assert as_text.result_bytes == b"a\tb\n1\t-\n"


def test_semicolons_in_quotes_do_not_end_a_statement(hive: HiveServer) -> None:
    outcome, kept = run(
        """SELECT 'a;b\\';c' AS x; SELECT ";" AS y /* ; */; SELECT 1 AS `z;`""", hive
    )

    assert outcome.message == "3 statements done."
    assert kept.result_bytes == b"x\na;b';c\ny\n;\nz;\n1\n"


def test_settings_hold_for_the_rest_of_the_session_and_no_longer(hive: HiveServer) -> None:
    _, first = run("SET my.day=größer; SET my.day; SELECT '${my.day}' AS d", hive)
    _, second = run("SET my.day", hive)

    assert first.result_bytes.decode().splitlines() == [
        *("key\tvalue", "my.day\tgrößer") * 2,
        *("d", "größer"),
    ]
    assert second.result_bytes == b"key\tvalue\nmy.day\t<undefined>\n"


def test_a_session_begins_in_the_database_of_the_address(hive: HiveServer) -> None:
    name = f"d{uuid.uuid4().hex}"
    run(f"CREATE DATABASE {name}", hive)

    running = start("SELECT current_database() AS d", f"{hive.address}/{name}")

    assert running.outcome(100).ending is Ending.SUCCESS
    assert running.kept.result_bytes.decode() == f"d\n{name}\n"


def test_what_the_server_logs_is_in_the_log_while_the_statement_runs(hive: HiveServer) -> None:
    content, _ = endless()
    running = start(content, hive.address)

    def told() -> bool:
        return f"Submitting query '{content}'" in running.kept.log_bytes.decode()

    assert eventually(told)
    assert not running.is_over()

    running.stop(StopReason.KILL)

    assert running.outcome(100).ending is Ending.KILLED


def test_each_statement_has_its_lines_in_the_log(hive: HiveServer) -> None:
    _, kept = run("SET a.b=1;\n\nSELECT id FROM range(2)", hive)

    lines = [
        line for line in kept.log_bytes.decode().splitlines() if "[sentinel] statement" in line
    ]
    assert lines[0] == "[sentinel] statement 1 of 2, line 1: SET a.b=1"
    assert lines[2] == "[sentinel] statement 2 of 2, line 3: SELECT id FROM range(2)"
    assert lines[3].startswith("[sentinel] statement 2 of 2: 2 rows in ")


def test_a_failure_has_the_words_of_the_server_and_not_its_stack(hive: HiveServer) -> None:
    outcome, kept = run("SELECT 1 AS a;\nSELECT * FROM nowhere;\nSELECT 2", hive)

    assert (outcome.ending, outcome.reason, outcome.is_final) == (Ending.FAILED, "BACKEND", False)
    assert outcome.message.startswith("Statement 2 of 3, line 2: ")
    assert "[TABLE_OR_VIEW_NOT_FOUND] The table or view `nowhere` cannot be" in outcome.message
    assert "HiveThriftServerErrors" not in outcome.message
    assert outcome.message in kept.log_bytes.decode()
    assert kept.result_bytes == b"a\n1\n"


def test_a_failure_in_the_middle_of_a_computation_is_told(hive: HiveServer) -> None:
    outcome, _ = run("SELECT raise_error('größer kaputt')", hive)

    assert outcome.reason == "BACKEND"
    assert "größer kaputt" in outcome.message


def test_too_many_rows_are_cut_and_the_log_says_so(hive: HiveServer) -> None:
    outcome, kept = run("SELECT id FROM range(50000); SELECT 'x' AS after", hive, maxRows=3)

    assert outcome.ending is Ending.SUCCESS
    assert kept.result_bytes == b"id\n0\n1\n2\nafter\nx\n"
    assert "cut after 3 rows, there are more (maxRows is 3)" in kept.log_bytes.decode()


def test_ten_thousand_rows_are_the_default_and_as_many_are_not_called_cut(
    hive: HiveServer,
) -> None:
    _, cut = run("SELECT id FROM range(10001)", hive)
    _, whole = run("SELECT id FROM range(10000)", hive)

    assert cut.result_bytes == whole.result_bytes
    assert whole.result_bytes.count(b"\n") == 10_001
    assert b"cut after 10000 rows" in cut.log_bytes
    assert b"cut after" not in whole.log_bytes


def test_a_cap_of_rows_never_undoes_a_change(hive: HiveServer) -> None:
    name = f"t{uuid.uuid4().hex}"

    _, kept = run(
        f"CREATE TABLE {name} AS SELECT id FROM range(2000); SELECT count(*) AS n FROM {name}",
        hive,
        maxRows=1,
    )

    assert kept.result_bytes == b"n\n2000\n"


class Digest:
    """An output that keeps a digest only."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()

    def result(self, data: bytes) -> None:
        self.digest.update(data)

    def log(self, data: bytes) -> None:
        """Nobody reads it here."""


def test_all_rows_arrive_and_few_are_in_memory_at_once(hive: HiveServer) -> None:
    output = Digest()
    tracemalloc.start()
    try:
        running = start("SELECT id FROM range(100000)", hive.address, output=output, maxRows=-1)
        assert running.outcome(100).ending is Ending.SUCCESS
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    expected = hashlib.sha256(b"id\n" + b"".join(b"%d\n" % n for n in range(100_000)))
    assert output.digest.digest() == expected.digest()
    assert peak < 2 * 1024 * 1024, "the rows alone would be more than 6 MB"


def test_a_kill_cancels_the_statement_on_the_server(hive: HiveServer) -> None:
    content, marker = endless()
    running = start(f"SELECT 1 AS a; {content}; SELECT 'after'", hive.address)
    assert eventually(lambda: bool(hive.running(marker)))

    running.stop(StopReason.KILL)

    assert running.outcome(100).ending is Ending.KILLED
    assert eventually(lambda: not hive.running(marker))
    assert running.kept.result_bytes == b"a\n1\n"


def test_a_statement_that_takes_too_long_is_cancelled_on_the_server(hive: HiveServer) -> None:
    content, marker = endless()

    outcome = start(content, hive.address, timeout=timedelta(seconds=3)).outcome(100)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "TIMEOUT")
    assert eventually(lambda: not hive.running(marker))


def test_a_kill_is_heard_while_the_server_computes_the_next_page(hive: HiveServer) -> None:
    """The session's own connection waits for the page, so that another one has to cancel."""
    marker = uuid.uuid4().hex
    running = start(
        "SET spark.sql.thriftServer.incrementalCollect=true;"
        f"SELECT '{marker}' FROM range(0, 10000000000000) WHERE id = 9999999999999",
        hive.address,
        maxRows=-1,
    )
    assert eventually(lambda: bool(hive.running(marker)))

    running.stop(StopReason.KILL)

    assert running.outcome(100).ending is Ending.KILLED
    assert eventually(lambda: not hive.running(marker))


def test_a_shutdown_between_rows_is_noticed(hive: HiveServer) -> None:
    marker = uuid.uuid4().hex
    running = start(
        "SET spark.sql.thriftServer.incrementalCollect=true;"
        f"SELECT '{marker}', id FROM range(0, 1000000000, 1, 1000000)",
        hive.address,
        maxRows=-1,
    )
    assert eventually(lambda: len(running.kept.result_bytes) > 1_000_000)

    running.stop(StopReason.SHUTDOWN)

    assert running.outcome(100).ending is Ending.INTERRUPTED
    assert eventually(lambda: not hive.running(marker))


class FencedLater(Kept):
    """An output of an attempt that is taken over while its statement runs."""

    def __init__(self) -> None:
        super().__init__()
        self.is_fenced = threading.Event()

    def log(self, data: bytes) -> None:
        if self.is_fenced.is_set():
            raise Fenced
        super().log(data)


def test_an_attempt_that_was_taken_over_leaves_nothing_running(hive: HiveServer) -> None:
    content, marker = endless()
    output = FencedLater()
    running = start(content, hive.address, output=output)
    assert eventually(lambda: bool(hive.running(marker)))

    output.is_fenced.set()
    running.stop(StopReason.FENCED)

    assert running.outcome(100).ending is Ending.INTERRUPTED
    assert eventually(lambda: not hive.running(marker))


@pytest.fixture
def proxy(hive: HiveServer) -> Iterator[Proxy]:
    between = Proxy("127.0.0.1", hive.port)
    yield between
    between.close()


def test_a_lost_connection_is_told_and_what_ran_is_ended_by_the_server(
    hive: HiveServer, proxy: Proxy
) -> None:
    content, marker = endless()
    running = start(content, f"hive://ann@127.0.0.1:{proxy.port}")
    assert eventually(lambda: bool(hive.running(marker)))

    proxy.cut()

    outcome = running.outcome(100)
    assert (outcome.reason, outcome.is_final) == ("BACKEND", False)
    assert eventually(lambda: not hive.running(marker))


def test_a_kill_is_heard_where_no_second_connection_can_be_had(
    hive: HiveServer, proxy: Proxy
) -> None:
    content, marker = endless()
    running = start(content, f"hive://ann@127.0.0.1:{proxy.port}")
    assert eventually(lambda: bool(hive.running(marker)))

    proxy.refuse()
    running.stop(StopReason.KILL)

    assert running.outcome(100).ending is Ending.KILLED
    assert eventually(lambda: not hive.running(marker))


def test_a_password_is_handed_to_the_server(hive: HiveServer) -> None:
    address = f"hive://ann:s3cr%3At@127.0.0.1:{hive.port}/default"

    running = start("SELECT 1", address)

    assert running.outcome(100).ending is Ending.SUCCESS, running.kept.log_bytes


def test_a_database_that_is_not_there_is_the_servers_own_word(hive: HiveServer) -> None:
    outcome = start("SELECT 1", f"{hive.address}/nowhere").outcome(100)

    assert (outcome.reason, outcome.is_final) == ("BACKEND", False)
    assert "nowhere" in outcome.message


def test_another_kind_of_sign_in_than_the_servers_fails(hive: HiveServer) -> None:
    outcome = start("SELECT 1", f"{hive.address}?auth=nosasl").outcome(100)

    assert outcome.reason == "BACKEND"
