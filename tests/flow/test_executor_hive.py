"""What a job of the type ``hive`` does where there is no Hive: how it is called, and what it lacks.

On a real server it is tested by ``make test-hive``. A script of bash stands here for ``beeline``.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tasks_app.executors import job_type_of
from tasks_app.executors.base import Ending, Outcome, StopReason
from tests.flow.executions import Kept, Run, eventually, living, make_execution, new_marker
from tests.flow.yarn_double import EPOCH, serving

COMMAND = "SENTINEL_HIVE_COMMAND"


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    monkeypatch.delenv(COMMAND, raising=False)


def start(content: str, root: Path, *, address: str | None = None, **changes: Any) -> Run:
    extra = changes.pop("extra", {})
    if address is not None:
        changes |= {"credentials": {"wh": address}}
        extra = {"connection": "wh", **extra}
    return Run(make_execution(content, root=root, job_type="hive", extra=extra, **changes))


def run(content: str, root: Path, **changes: Any) -> tuple[Outcome, Kept]:
    running = start(content, root, **changes)
    return running.outcome(), running.kept


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A double of ``beeline``: it prints its arguments and the file that is the last of them."""
    path = tmp_path / "bee line"
    path.write_text('#!/bin/bash\nprintf "%s|" "$@"\nfor last; do :; done\ncat "$last"\n')
    path.chmod(0o700)
    monkeypatch.setenv(COMMAND, f"'{path}' --silent=true -f {{content}}")
    return path


def test_the_program_is_given_the_content_as_a_file(program: Path, tmp_path: Path) -> None:
    content = "SELECT 'größer; 🙂 $(touch hit) ${HOME} {content}';"

    outcome, kept = run(content, tmp_path)

    assert (outcome.ending, outcome.exit_code) == (Ending.SUCCESS, 0), kept.log_bytes
    *arguments, file, printed = kept.result_bytes.decode().split("|")
    assert arguments == ["--silent=true", "-f"]
    assert Path(file).name == "content.sql"
    assert printed == f"{content}\n"
    assert not Path(file).exists()
    assert not list(tmp_path.rglob("hit"))


def test_an_address_of_jdbc_goes_into_its_place_as_one_word(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMMAND, f"'{program}' -u={{url}} '{{other}} {{content}}' -f {{content}}")
    address = "jdbc:hive2://hs2.example:10000/db;principal=hive/_HOST@EXAMPLE;x={content}"

    _, kept = run("SELECT 1", tmp_path, address=address)

    words = kept.result_bytes.decode().split("|")
    assert words[0] == f"-u={address}"
    assert words[1].startswith("{other} /")


def test_a_group_has_its_own_command(
    program: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"{COMMAND}_3", f"'{program}' third {{content}}")

    _, third = run("SELECT 1", tmp_path, worker_group_id=3)
    _, other = run("SELECT 1", tmp_path, worker_group_id=2)

    assert third.result_bytes.startswith(b"third|")
    assert other.result_bytes.startswith(b"--silent=true|")


def test_parameters_are_no_variables_of_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMMAND, "sh -c 'echo $PATH $day' {content}")

    _, kept = run("SELECT '${day}'", tmp_path, extra={"PATH": "/evil", "day": "7"})

    assert kept.result_bytes.decode() == f"{os.environ['PATH']}\n"


def test_an_exit_code_is_the_programs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMAND, "sh -c 'echo FAILED: SemanticException >&2; exit 2' {content}")

    outcome, kept = run("SELECT 1", tmp_path)

    assert (outcome.reason, outcome.exit_code) == ("EXIT_CODE", 2)
    assert outcome.message == "Ended with exit code 2: FAILED: SemanticException"
    assert kept.log_bytes.startswith(b"FAILED: SemanticException\n")


@pytest.mark.parametrize("ends_by", ["kill", "timeout"])
def test_the_programs_whole_tree_is_ended(
    ends_by: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = new_marker()
    monkeypatch.setenv(COMMAND, f"sh -c 'sleep {marker} & wait' {{content}}")
    timeout = timedelta(seconds=1) if ends_by == "timeout" else None
    running = start("SELECT 1", tmp_path, timeout=timeout)
    assert eventually(lambda: bool(living(marker)) or running.is_over())

    if timeout is None:
        running.stop(StopReason.KILL)

    assert running.outcome().reason == ends_by.upper()
    assert not living(marker)


def test_what_the_program_started_on_yarn_ends_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = f"application_{EPOCH}_0007"
    monkeypatch.setenv(COMMAND, f"sh -c 'echo Running with YARN {name} >&2; sleep 300' {{content}}")
    with serving() as cluster:
        cluster.add(name)
        monkeypatch.setenv("SENTINEL_YARN_RM", cluster.address)
        running = start("SELECT 1", tmp_path)
        assert eventually(lambda: name.encode() in running.kept.log_bytes)

        running.stop(StopReason.KILL)

        assert running.outcome().ending is Ending.KILLED
        assert cluster.told == [name]


@pytest.mark.parametrize(
    ("command", "address", "reason", "told"),
    [
        ("", None, "NO_CLIENT", f"the job names no connection, and {COMMAND} is not set"),
        (
            "beeline 'x {content}",
            None,
            "NO_CLIENT",
            f"{COMMAND} cannot be read: No closing quotation",
        ),
        ("beeline -f", None, "NO_CLIENT", f"{COMMAND} has no {{content}}"),
        ("/no/beeline {content}", None, "NO_CLIENT", "there is no program /no/beeline"),
        ("cat {content} {url}", None, "BAD_PARAMS", "params.connection: it is missing"),
        ("cat {content}", "jdbc:hive2://h/d", "NO_CLIENT", f"{COMMAND} has no {{url}}"),
        ("", "jdbc:hive2://h/d", "NO_CLIENT", f"{COMMAND} is not set"),
        ("cat {content} {url}", "jdbc:hive2://h/d;user=a;PassWord=b", "BAD_PARAMS", "a password"),
        ("cat {content} {url}", "jdbc:hive2://h/d?a=b&pwd=c", "BAD_PARAMS", "a password"),
    ],
)
def test_what_a_program_cannot_be_called_with_is_told_and_not_tried_again(
    command: str,
    address: str | None,
    reason: str,
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(COMMAND, command)

    outcome, kept = run("SELECT 1", tmp_path, address=address)

    assert (outcome.reason, outcome.is_final) == (reason, True)
    assert told in outcome.message
    assert outcome.message in kept.log_bytes.decode()
    assert kept.result_bytes == b""


def test_rows_of_a_program_cannot_be_asked_for_in_another_form(tmp_path: Path) -> None:
    problems = list(job_type_of("hive").param_problems({"maxRows": 7}, ()))
    outcome, _ = run("SELECT 1", tmp_path, address="jdbc:hive2://h/d", extra={"format": "json"})

    assert [problem.split(":")[0] for problem in problems] == ["params.maxRows"]
    assert (outcome.reason, outcome.is_final) == ("BAD_PARAMS", True)
    assert outcome.message.startswith("params.format: it needs a connection such as hive://")


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"connection": ""}, "params.connection: it must be the name of a connection"),
        ({"connection": "wh", "maxRows": -2}, "params.maxRows: it must be an integer from -1"),
        ({"connection": "wh", "format": "csv"}, "params.format: it must be one of tsv, json"),
        ({"connexion": "wh"}, "params.connexion"),
    ],
)
def test_wrong_parameters_are_refused_by_name(extra: dict[str, Any], told: str) -> None:
    problems = job_type_of("hive").param_problems(extra, ())

    assert [problem.startswith(told) for problem in problems] == [True]


def test_both_ways_are_open_to_a_submission() -> None:
    for extra in ({}, {"connection": "wh"}, {"connection": "wh", "maxRows": -1}):
        assert list(job_type_of("hive").param_problems(extra, ())) == []


def test_without_pyhive_a_job_for_a_server_is_final(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyhive", None)
    monkeypatch.setenv(COMMAND, "cat {content}")

    by_server, _ = run("SELECT 1", tmp_path, address="hive://ann@127.0.0.1:9/wh")
    by_program, _ = run("SELECT 1", tmp_path)

    assert (by_server.reason, by_server.is_final) == ("NO_CLIENT", True)
    assert "PyHive is not installed (the extra hive" in by_server.message
    assert by_program.ending is Ending.SUCCESS


def test_kerberos_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "kerberos", None)

    outcome, _ = run("SELECT 1", tmp_path, address="hive://127.0.0.1:9/wh?auth=kerberos")

    assert (outcome.reason, outcome.is_final) == ("NO_CLIENT", True)
    assert "the package kerberos is not installed" in outcome.message


def test_a_machine_lacks_the_type_only_if_neither_way_is_open(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    lack = job_type_of("hive").lack
    with_pyhive = lack()
    monkeypatch.setitem(__import__("sys").modules, "pyhive", None)
    with_nothing = lack()
    monkeypatch.setenv(f"{COMMAND}_3", "beeline -f {content}")

    assert (with_pyhive, lack()) == (None, None)
    assert with_nothing is not None
    assert "PyHive is not installed" in with_nothing
    assert f"{COMMAND} is not set" in with_nothing


def test_no_server_is_told_and_may_be_tried_again(tmp_path: Path) -> None:
    outcome, kept = run("SELECT 1", tmp_path, address="hive://ann@127.0.0.1:9/wh")

    assert (outcome.ending, outcome.reason, outcome.is_final) == (Ending.FAILED, "BACKEND", False)
    assert "onnection refused" in outcome.message
    assert outcome.message in kept.log_bytes.decode()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening


@pytest.mark.parametrize("options", ["", "?auth=nosasl", "?tls=true"])
def test_what_is_no_hiveserver_is_told(
    options: str, listener: socket.socket, tmp_path: Path
) -> None:
    running = start(
        "SELECT 1", tmp_path, address=f"hive://127.0.0.1:{listener.getsockname()[1]}/{options}"
    )
    with listener.accept()[0] as accepted:
        accepted.recv(16)
        accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    assert (running.outcome().reason, running.outcome().is_final) == ("BACKEND", False)


def test_an_authority_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    outcome, _ = run("SELECT 1", tmp_path, address="hive://127.0.0.1:9/?tls=true&ssl_ca=/no/ca")

    assert outcome.reason == "BACKEND"
    assert "ssl_ca of the connection cannot be read" in outcome.message


@pytest.mark.parametrize(
    ("options", "limit"), [("", "_CONNECT"), ("?tls=true", "_CONNECT"), ("?auth=nosasl", "_ANSWER")]
)
def test_a_server_that_says_nothing_is_given_up(
    options: str,
    limit: str,
    listener: socket.socket,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(f"tasks_app.executors.hive.thrift_client.{limit}_MILLISECONDS", 200)
    port = listener.getsockname()[1]

    outcome, _ = run("SELECT 1", tmp_path, address=f"hive://127.0.0.1:{port}/{options}")

    assert (outcome.reason, outcome.is_final) == ("BACKEND", False)
    assert "time" in outcome.message
