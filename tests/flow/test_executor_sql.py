"""What a job of the type ``sql`` does to a real PostgreSQL, MariaDB and SQLite."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks_app.executors import job_type_of
from tasks_app.executors.base import Ending, Outcome, StopReason
from tests.flow import databases
from tests.flow.databases import Database
from tests.flow.executions import Kept, Run, eventually, make_execution


@pytest.fixture(params=sorted(databases.KINDS))
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with databases.KINDS[request.param](tmp_path) as made:
        yield made


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[Database]:
    with databases.postgres(tmp_path) as made:
        yield made


@pytest.fixture
def mysql(tmp_path: Path) -> Iterator[Database]:
    with databases.mysql(tmp_path) as made:
        yield made


@pytest.fixture
def sqlite(tmp_path: Path) -> Iterator[Database]:
    with databases.sqlite(tmp_path) as made:
        yield made


def start(content: str, address: str, *, timeout: timedelta | None = None, **extra: Any) -> Run:
    return Run(
        make_execution(
            content,
            root=Path("/nonexistent"),
            job_type="sql",
            extra={"connection": "wh", **extra},
            credentials={"wh": address},
            timeout=timeout,
        )
    )


def run(content: str, database: Database, **extra: Any) -> tuple[Outcome, Kept]:
    running = start(content, database.address, **extra)
    return running.outcome(), running.kept


THOUSAND = "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < 1000)"
TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR(40), price NUMERIC(12, 3))"


def test_rows_are_lines_with_a_header_and_nothing_is_lost_in_them(database: Database) -> None:
    database.execute(TABLE)

    outcome, kept = run(
        "INSERT INTO t VALUES (1, 'größer; 🙂', 1.5), (2, NULL, NULL), (3, 'a\tb\nc\rd', 0.125);\n"
        "-- a comment; here\nSELECT * FROM t ORDER BY id;",
        database,
    )

    assert (outcome.ending, outcome.message) == (Ending.SUCCESS, "2 statements done.")
    price = "1.5" if database.kind == "sqlite" else "1.500"
    assert kept.result_bytes.decode() == (
        f"id\tname\tprice\n1\tgrößer; 🙂\t{price}\n2\t\\N\t\\N\n3\ta\\tb\\nc\\rd\t0.125\n"
    )


def test_rows_can_be_json_and_null_another_word(database: Database) -> None:
    _, as_json = run("SELECT 1 AS a, NULL AS b, 'ü' AS a", database, format="json")
    _, as_text = run("SELECT 1 AS a, NULL AS b", database, nullAs="-")

    assert json.loads(as_json.result_bytes) == {"a": 1, "b": None, "a_2": "ü"}
    assert as_text.result_bytes == b"a\tb\n1\t-\n"


def test_each_statement_has_its_lines_in_the_log(database: Database) -> None:
    _, kept = run(f"{TABLE};\n\nINSERT INTO t (id) VALUES (1), (2);SELECT id FROM t", database)

    lines = kept.log_bytes.decode().splitlines()
    assert lines[0] == f"[sentinel] statement 1 of 3, line 1: {TABLE}"
    assert lines[2] == "[sentinel] statement 2 of 3, line 3: INSERT INTO t (id) VALUES (1), (2)"
    assert lines[3].startswith("[sentinel] statement 2 of 3: 2 rows changed in 0.")
    assert lines[5].startswith("[sentinel] statement 3 of 3: 2 rows in 0.")


def test_too_many_rows_are_cut_and_the_log_says_so(database: Database) -> None:
    content = f"{database.series.format(50_000)}; SELECT 'after'"

    outcome, kept = run(content, database, maxRows=3)

    assert outcome.ending is Ending.SUCCESS
    lines = kept.result_bytes.decode().splitlines()
    assert (lines[:4], lines[-1]) == (["n", "1", "2", "3"], "after")
    assert len(lines) == 6
    assert "cut after 3 rows, there are more (maxRows is 3)" in kept.log_bytes.decode()


def test_a_cap_of_rows_never_undoes_a_change(database: Database) -> None:
    database.execute(TABLE)
    rows = ", ".join(f"({number})" for number in range(2000))

    outcome, kept = run(f"INSERT INTO t (id) VALUES {rows} RETURNING id", database, maxRows=1)

    assert (outcome.ending, kept.result_bytes) == (Ending.SUCCESS, b"id\n0\n")
    assert database.execute("SELECT COUNT(*) FROM t") == [(2000,)]


def test_as_many_rows_as_allowed_are_not_called_cut(database: Database) -> None:
    _, kept = run(database.series.format(3), database, maxRows=3)

    assert kept.result_bytes == b"n\n1\n2\n3\n"
    assert "cut" not in kept.log_bytes.decode()


def test_ten_thousand_rows_are_the_default(database: Database) -> None:
    _, kept = run(database.series.format(10_001), database)

    assert kept.result_bytes.count(b"\n") == 10_001


class Digest:
    """An output that keeps a digest only."""

    def __init__(self) -> None:
        self.digest = hashlib.sha256()
        self.largest = 0

    def result(self, data: bytes) -> None:
        self.digest.update(data)
        self.largest = max(self.largest, len(data))

    def log(self, data: bytes) -> None:
        """Nobody reads it here."""


def test_all_rows_arrive_and_few_are_in_memory_at_once(database: Database) -> None:
    output = Digest()
    tracemalloc.start()
    try:
        running = Run(
            make_execution(
                database.series.format(50_000),
                root=Path("/nonexistent"),
                job_type="sql",
                extra={"connection": "wh", "maxRows": -1},
                credentials={"wh": database.address},
            ),
            output,
        )
        assert running.outcome(100).ending is Ending.SUCCESS
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    expected = hashlib.sha256(b"n\n" + b"".join(b"%d\n" % n for n in range(1, 50_001)))
    assert output.digest.digest() == expected.digest()
    assert peak < 2 * 1024 * 1024, "the rows alone would be more than 3 MB"


def test_a_failure_has_the_words_of_the_back_end(database: Database) -> None:
    outcome, kept = run("SELECT 1;\nSELECT * FROM nowhere;\nSELECT 2", database)

    assert (outcome.ending, outcome.reason, outcome.is_final) == (Ending.FAILED, "BACKEND", False)
    assert outcome.message.startswith("Statement 2 of 3, line 2: ")
    assert "nowhere" in outcome.message
    assert outcome.message in kept.log_bytes.decode()
    assert kept.result_bytes.decode().splitlines()[1:] == ["1"]


def test_what_was_done_before_a_failure_stays_unless_it_is_one_transaction(
    database: Database,
) -> None:
    database.execute(TABLE)

    run("INSERT INTO t (id) VALUES (1); broken", database)
    run("INSERT INTO t (id) VALUES (2); SELECT id FROM t; broken", database, transaction=True)
    run("INSERT INTO t (id) VALUES (3); SELECT id FROM t", database, transaction=True)

    assert database.execute("SELECT id FROM t ORDER BY id") == [(1,), (3,)]


def test_a_job_may_begin_and_end_transactions_itself(database: Database) -> None:
    database.execute(TABLE)

    outcome, kept = run(
        "BEGIN; INSERT INTO t (id) VALUES (1); SELECT id FROM t; ROLLBACK; SELECT id FROM t",
        database,
    )

    assert outcome.ending is Ending.SUCCESS
    assert kept.result_bytes == b"id\n1\nid\n"


def test_a_kill_ends_the_statement_on_the_server(database: Database) -> None:
    running = start(database.endless, database.address)
    assert eventually(lambda: bool(database.running()))

    running.stop(StopReason.KILL)

    assert running.outcome().ending is Ending.KILLED
    assert eventually(lambda: not database.running())


def test_a_statement_that_takes_too_long_is_ended_on_the_server(database: Database) -> None:
    running = start(database.endless, database.address, timeout=timedelta(seconds=1))

    outcome = running.outcome()

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "TIMEOUT")
    assert eventually(lambda: not database.running())


def test_a_kill_between_rows_is_noticed(database: Database) -> None:
    running = start(f"{THOUSAND} SELECT a.n FROM s a, s b, s c", database.address, maxRows=-1)
    assert eventually(lambda: len(running.kept.result_bytes) > 10)

    running.stop(StopReason.SHUTDOWN)

    assert running.outcome().ending is Ending.INTERRUPTED
    assert eventually(lambda: not database.running())


def test_settings_hold_for_the_rest_of_the_session(postgres: Database, mysql: Database) -> None:
    _, first = run("SET TIME ZONE 'Asia/Tokyo'; SHOW timezone", postgres)
    _, second = run("SET @day = 'größer'; SELECT @day AS d", mysql)

    assert first.result_bytes == b"TimeZone\nAsia/Tokyo\n"
    assert second.result_bytes.decode() == "d\ngrößer\n"


def test_values_are_written_as_the_server_has_them(postgres: Database) -> None:
    _, kept = run(
        "SELECT 'infinity'::timestamp a, '20000-01-01'::date b, '\\xff00'::bytea c, true d,"
        " '{\"k\": [1]}'::jsonb e, ARRAY[1,2] f, interval '1 mon 2 h' g, 1e-7::numeric h",
        postgres,
    )

    values = kept.result_bytes.decode().splitlines()[1].split("\t")
    assert values == [
        *("infinity", "20000-01-01", "\\\\xff00", "true"),
        *('{"k": [1]}', "[1, 2]", "1 mon 02:00:00", "1E-7"),
    ]


def test_a_query_that_writes_and_a_notice_are_told(postgres: Database) -> None:
    postgres.execute(TABLE)

    outcome, kept = run(
        "WITH x AS (INSERT INTO t (id) VALUES (7) RETURNING id) SELECT id FROM x;"
        "DO $$BEGIN RAISE NOTICE 'größer; %', 1; END$$; SELECT id INTO u FROM t;",
        postgres,
    )

    assert (outcome.ending, kept.result_bytes) == (Ending.SUCCESS, b"id\n7\n")
    assert "NOTICE:  größer; 1" in kept.log_bytes.decode()
    assert postgres.execute("SELECT id FROM u") == [(7,)]


def test_a_procedure_may_return_several_results(mysql: Database) -> None:
    mysql.execute("CREATE PROCEDURE p() BEGIN SELECT 1 AS a; SELECT '0000-00-00' AS b; END")

    outcome, kept = run("CALL p(); SELECT TIME('-01:02:03') AS c", mysql)

    assert outcome.ending is Ending.SUCCESS
    assert kept.result_bytes == b"a\n1\nb\n0000-00-00\nc\n-01:02:03\n"


def test_a_cap_of_rows_lets_a_procedure_go_on(mysql: Database) -> None:
    mysql.execute("CREATE TABLE t (id INTEGER)")
    mysql.execute(
        "CREATE PROCEDURE p() BEGIN SELECT 1 AS a UNION SELECT 2; INSERT INTO t VALUES (7); END"
    )

    _, kept = run("CALL p()", mysql, maxRows=1)

    assert kept.result_bytes == b"a\n1\n"
    assert mysql.execute("SELECT id FROM t") == [(7,)]


def test_a_job_cannot_reach_another_file(sqlite: Database, tmp_path: Path) -> None:
    for statement in (f"ATTACH '{tmp_path}/b.db' AS b", f"VACUUM INTO '{tmp_path}/b.db'"):
        outcome, _ = run(statement, sqlite)

        assert outcome.reason == "BACKEND"
        assert "authoriz" in outcome.message
    assert not (tmp_path / "b.db").exists()
    assert run("VACUUM", sqlite)[0].ending is Ending.SUCCESS


def test_a_file_that_is_not_there_is_told_and_not_made(tmp_path: Path) -> None:
    outcome = start("SELECT 1", f"sqlite:///{tmp_path}/none.db").outcome()

    assert (outcome.reason, outcome.message) == ("BACKEND", "unable to open database file")
    assert not (tmp_path / "none.db").exists()


@pytest.mark.parametrize("scheme", ["postgres", "mysql"])
def test_a_server_that_does_not_answer_is_told_and_may_be_tried_again(scheme: str) -> None:
    outcome = start("SELECT 1", f"{scheme}://ann@127.0.0.1:9/wh").outcome()

    assert (outcome.ending, outcome.reason, outcome.is_final) == (Ending.FAILED, "BACKEND", False)
    assert "onnection refused" in outcome.message


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("oracle://db/wh", "wh is an address of oracle, not of one of postgres, postgresql, mysql"),
        ("mysql://db:port/wh", "the address of wh cannot be read"),
        ("postgres://ann:half/a-word@db/wh", "the address of wh cannot be read"),
        ("mysql://db/wh?local_infile=1", "its address has local_infile; known: charset,"),
        ("sqlite:///relative.db", "an address of SQLite names a whole path"),
    ],
)
def test_an_address_that_cannot_be_used_is_final(address: str, told: str) -> None:
    outcome = start("SELECT 1", address).outcome()

    assert (outcome.reason, outcome.is_final) == ("BAD_PARAMS", True)
    assert told in outcome.message
    assert "half" not in outcome.message


def test_a_client_that_is_not_installed_is_final(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pymysql", None)

    outcome = start("SELECT 1", "mysql://root@127.0.0.1/wh").outcome()

    assert (outcome.reason, outcome.is_final) == ("NO_CLIENT", True)
    assert "PyMySQL is not installed" in outcome.message


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"maxRows": -2}, "params.maxRows: it must be an integer from -1"),
        ({"format": "csv"}, "params.format: it must be one of tsv, json"),
        ({"transaction": "yes"}, "params.transaction: it must be true or false"),
        ({"connexion": "wh"}, "params.connexion"),
        ({"connection": ""}, "params.connection: it must be the name of a connection"),
    ],
)
def test_wrong_parameters_are_refused_by_name(extra: dict[str, Any], told: str) -> None:
    problems = job_type_of("sql").param_problems({"connection": "wh", **extra}, ())

    assert [problem.startswith(told) for problem in problems] == [True]
