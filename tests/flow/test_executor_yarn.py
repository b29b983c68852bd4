"""What becomes of applications on YARN when the run ends that started them (X-21).

The ResourceManager, ``spark-submit`` and ``yarn`` are doubles of the protocol, written for the
tests; that what they are told is right for real ones is told by their documentation alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from jobs.rules.enums import ContentType
from tasks_app.executors import yarn_ending
from tasks_app.executors.base import (
    Ending,
    Execution,
    Fenced,
    Outcome,
    Stop,
    StopReason,
)
from tasks_app.executors.spark import execute
from tests.flow.executions import Kept, Run, eventually, make_execution
from tests.flow.yarn_double import EPOCH, Double, serving, write_client, write_killer

FIRST = f"application_{EPOCH}_0001"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """A cluster that is told by REST, with clients for it."""
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    with serving() as made:
        client = write_client(tmp_path / "client", made)
        monkeypatch.setenv("SENTINEL_SPARK_COMMAND", str(client))
        monkeypatch.setenv("SENTINEL_MAPREDUCE_COMMAND", f"{client} jar")
        monkeypatch.setenv("SENTINEL_YARN_RM", made.address)
        yield made


@pytest.fixture
def by_command(server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Double:
    """The same cluster, told by a program."""
    killer = write_killer(tmp_path / "yarn", server)
    monkeypatch.delenv("SENTINEL_YARN_RM")
    monkeypatch.setenv("SENTINEL_YARN_KILL", f"{killer} application -kill {{id}}")
    return server


def execution_of(mode: str, root: Path, **changes: Any) -> Execution:
    """Return a run of a client that does what ``mode`` says, for a jar."""
    (root / "a.jar").touch()
    plain: dict[str, Any] = {
        "content": "7",
        "job_type": "spark",
        "content_type": ContentType.JAR,
        "extra": {"args": [mode]},
        "artifacts": {"7": root / "a.jar", "8": root / "b.jar", "9": root / "c.zip"},
    }
    return make_execution(root=root / "work", **plain | changes)


def start(mode: str, root: Path, **changes: Any) -> Run:
    """Start such a run, and wait until it has submitted."""
    running = Run(execution_of(mode, root, **changes))
    assert submitted(running)
    return running


def run(mode: str, root: Path, **changes: Any) -> tuple[Outcome, Kept]:
    running = Run(execution_of(mode, root, **changes))
    return running.outcome(60), running.kept


def submitted(running: Run) -> bool:
    return eventually(lambda: b"Submitted application" in running.kept.log_bytes)


# -- what a kill does ------------------------------------------------------------------------------


@pytest.mark.parametrize("job_type", ["spark", "mapreduce"])
@pytest.mark.parametrize("way", ["server", "by_command"])
def test_a_kill_ends_the_application_too(
    job_type: str, way: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    server: Double = request.getfixturevalue(way)
    running = start("submit hang", tmp_path, job_type=job_type)
    assert server.states() == ["RUNNING"]

    running.stop(StopReason.KILL)

    outcome = running.outcome()
    assert (outcome.ending, outcome.reason) == (Ending.KILLED, "KILL")
    assert server.states() == ["KILLED"]
    log = running.kept.log_bytes.decode()
    assert f"[sentinel] {FIRST}: told to end\n" in log
    assert "KILLED, final status KILLED" in log or f"Killed application {FIRST}" in log


def test_a_timeout_a_shutdown_and_a_lost_fence_end_it_too(server: Double, tmp_path: Path) -> None:
    outcome, _ = run("submit hang", tmp_path, timeout=timedelta(seconds=5))
    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "TIMEOUT")

    for reason in (StopReason.SHUTDOWN, StopReason.FENCED):
        running = start("submit hang", tmp_path)
        running.stop(reason)
        outcome = running.outcome()
        assert (outcome.ending, outcome.reason) == (Ending.INTERRUPTED, reason.value)

    assert server.states() == ["KILLED"] * 3


def test_what_a_quiet_client_has_submitted_is_found_by_its_tag(
    server: Double, tmp_path: Path
) -> None:
    server.add(f"application_{EPOCH}_9999")
    extra = {"conf": {"spark.yarn.tags": "etl,nightly"}, "args": ["quiet submit hang"]}
    running = Run(execution_of("", tmp_path, extra=extra))
    assert eventually(lambda: b"WARN" in running.kept.log_bytes)

    running.stop(StopReason.KILL)

    assert running.outcome().reason == "KILL"
    assert server.states() == ["RUNNING", "KILLED"]
    assert server.apps[FIRST]["applicationTags"].startswith("etl,nightly,sentinel-")


@pytest.mark.parametrize(("master", "reason"), [("yarn", "KILL_UNCONFIRMED"), ("local", "KILL")])
def test_a_cluster_that_cannot_be_asked_for_tags_proves_nothing(
    master: str, reason: str, server: Double, tmp_path: Path
) -> None:
    extra = {"master": master, "args": ["quiet submit hang"]}
    running = Run(execution_of("", tmp_path, extra=extra))
    assert eventually(lambda: b"WARN" in running.kept.log_bytes)
    server.refuses = (403, "no")

    running.stop(StopReason.KILL)

    assert running.outcome().reason == reason


class FencedOutput(Kept):
    """An output of an attempt that is not ours any more."""

    def log(self, data: bytes) -> None:
        super().log(data)
        raise Fenced


def test_what_is_told_after_the_fence_was_lost_still_counts(server: Double, tmp_path: Path) -> None:
    running = Run(execution_of("submit hang", tmp_path), FencedOutput())

    assert running.outcome().reason == "FENCED"
    assert server.states() == ["KILLED"]


def test_an_application_that_takes_its_time_is_waited_for(server: Double, tmp_path: Path) -> None:
    server.stubborn = 3
    running = start("submit hang", tmp_path)

    running.stop(StopReason.KILL)

    assert running.outcome().ending is Ending.KILLED
    assert server.states() == ["KILLED"]
    assert len(server.told) > 1


@pytest.mark.parametrize("reason", [StopReason.KILL, StopReason.SHUTDOWN])
def test_what_is_not_proved_gone_is_said_and_not_handed_back(
    reason: StopReason, server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yarn_ending, "_SECONDS", 1.0)
    server.stubborn = 1000
    running = start("submit hang", tmp_path)

    running.stop(reason)

    outcome = running.outcome()
    ending = Ending.KILLED if reason is StopReason.KILL else Ending.FAILED
    assert (outcome.ending, outcome.reason) == (ending, "KILL_UNCONFIRMED")
    assert outcome.message.endswith(f"On the cluster may still run: {FIRST}.")
    assert f"{FIRST}: not proved ended: it was told, and still runs" in (
        running.kept.log_bytes.decode()
    )


def test_a_cluster_that_forbids_it_is_not_asked_again(server: Double, tmp_path: Path) -> None:
    running = start("submit hang", tmp_path)
    server.refuses = (403, "User sentinel cannot perform operation MODIFY_APP")

    running.stop(StopReason.KILL)

    assert running.outcome().reason == "KILL_UNCONFIRMED"
    assert "403 User sentinel cannot perform" in running.kept.log_bytes.decode()


def test_only_the_active_one_of_two_is_believed(
    server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serving() as standby:
        standby.refuses = (307, "This is standby RM.")
        user = server.address.replace("//", "//etl@")
        monkeypatch.setenv("SENTINEL_YARN_RM", f"{standby.address}, {user}")
        running = start("submit hang", tmp_path)

        running.stop(StopReason.KILL)

        assert running.outcome().reason == "KILL"
    assert server.states() == ["KILLED"]
    assert server.users == {"user.name=etl"}


def test_another_servers_404_proves_nothing(
    server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yarn_ending, "_SECONDS", 1.0)
    running = start("submit hang", tmp_path)
    server.refuses = (404, "nothing here")

    running.stop(StopReason.KILL)

    assert running.outcome().reason == "KILL_UNCONFIRMED"


def test_without_a_way_a_kill_says_that_the_application_may_live(
    server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SENTINEL_YARN_RM")
    monkeypatch.setenv("SENTINEL_YARN_KILL", "/nowhere/yarn application -kill {id}")
    running = start("submit hang", tmp_path)

    running.stop(StopReason.KILL)

    outcome = running.outcome()
    assert (outcome.ending, outcome.reason) == (Ending.KILLED, "KILL_UNCONFIRMED")
    assert "there is no program /nowhere/yarn" in running.kept.log_bytes.decode()


def test_a_command_that_fails_or_hangs_proves_nothing(
    by_command: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_command.stubborn = 10**9
    failing, hanging = start("submit hang", tmp_path), start("submit hang", tmp_path)

    by_command.refuses = (500, "no leader")
    failing.stop(StopReason.KILL)
    assert failing.outcome().reason == "KILL_UNCONFIRMED"
    by_command.refuses = None
    monkeypatch.setattr(yarn_ending, "_SECONDS", 2.0)
    hanging.stop(StopReason.KILL)
    assert hanging.outcome().reason == "KILL_UNCONFIRMED"

    assert "exit code 1. Exception: no leader" in failing.kept.log_bytes.decode()
    assert "Ended after its timeout" in hanging.kept.log_bytes.decode()


def test_what_the_cluster_does_not_know_or_what_is_over_is_gone(
    by_command: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = "echo job_1700000000000_0007 application_1700000000000_00{8,9} >&2; exit 3"
    by_command.add("application_1700000000000_008", state="FINISHED")

    first, kept = shell(script, tmp_path)
    monkeypatch.setenv("SENTINEL_YARN_RM", by_command.address)
    second, told = shell(script, tmp_path)

    assert first.reason == second.reason == "EXIT_CODE"
    assert kept.log_bytes.decode().count("doesn't exist in RM") == 2
    log = told.log_bytes.decode()
    assert "application_1700000000000_0007: unknown to the cluster" in log
    assert "application_1700000000000_008: FINISHED, final status unknown" in log
    assert by_command.told == ["application_1700000000000_008"]  # by the command, which must ask


def test_an_application_from_before_the_run_is_left_alone(server: Double, tmp_path: Path) -> None:
    server.add(f"application_{EPOCH}_9999", age=3600)

    outcome, kept = shell(f"echo application_{EPOCH}_9999 >&2; exit 3", tmp_path)

    assert outcome.reason == "EXIT_CODE"
    assert (server.states(), server.told) == (["RUNNING"], [])
    assert "left alone, for it has run since" in kept.log_bytes.decode()


# -- other endings ---------------------------------------------------------------------------------


def test_a_client_that_ends_well_leaves_what_it_started(server: Double, tmp_path: Path) -> None:
    """``spark.yarn.submit.waitAppCompletion=false`` means just that."""
    outcome, _ = run("submit", tmp_path)

    assert outcome.ending is Ending.SUCCESS
    assert (server.states(), server.told) == (["RUNNING"], [])


def test_a_client_that_fails_takes_its_application_along(server: Double, tmp_path: Path) -> None:
    """Else the retry would run beside it."""
    outcome, kept = run("submit raise", tmp_path)

    words = 'Exception in thread "main" org.apache.spark.SparkException: no table größer'
    assert outcome.message == f"Ended with exit code 1: {words}"
    assert (outcome.ending, outcome.reason, outcome.exit_code) == (Ending.FAILED, "EXIT_CODE", 1)
    assert words in kept.log_bytes.decode()
    assert server.states() == ["KILLED"]


def test_a_failure_is_retried_also_where_nobody_can_look(
    server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SENTINEL_YARN_RM")
    monkeypatch.setenv("SENTINEL_YARN_KILL", "/nowhere/yarn {id}")

    outcome, _ = run("submit raise", tmp_path)

    assert (outcome.reason, outcome.is_final) == ("EXIT_CODE", False)


def test_a_failure_beside_a_cluster_that_cannot_be_asked_is_not_retried(
    server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(yarn_ending, "_SECONDS", 1.0)
    monkeypatch.setenv("SENTINEL_YARN_RM", "http://127.0.0.1:9")

    outcome, kept = run("submit raise", tmp_path)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "KILL_UNCONFIRMED")
    assert "no table größer On the cluster may" in outcome.message
    assert "onnection refused" in kept.log_bytes.decode()


def test_a_failure_before_anything_was_submitted_is_retried_when_the_cluster_is_down(
    server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_YARN_RM", "http://127.0.0.1:9")

    outcome, _ = run("raise", tmp_path)

    assert (outcome.reason, outcome.is_final) == ("EXIT_CODE", False)


class BrokenOutput(Kept):
    """An output that cannot be written."""

    def log(self, data: bytes) -> None:
        raise OSError("disk full")


def test_a_run_that_breaks_ends_its_application(server: Double, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk full"):
        execute(execution_of("submit hang", tmp_path), BrokenOutput(), Stop())

    assert server.states() == ["KILLED"]


# -- what the client is told -----------------------------------------------------------------------


def shown(kept: Kept) -> tuple[list[str], dict[str, str]]:
    words, variables = json.loads(kept.result_bytes)
    return words, variables


def test_spark_is_told_by_words_and_no_shell_reads_them(
    server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop")
    monkeypatch.setenv("HADOOP_CLIENT_OPTS", "-Xmx1g")
    extra = {
        "master": "yarn",
        "deployMode": "cluster",
        "mainClass": "com.example.Main",
        "queue": "root.etl",
        "numExecutors": 3,
        "executorMemory": "2g",
        "conf": {"spark.a": "x y; $(touch hit)", "spark.b": True},
        "jars": ["8"],
        "pyFiles": [9],
        "args": ["größer `id`", "show"],
        "day": "2026-03-01",
    }

    outcome, kept = run("", tmp_path, extra=extra)

    assert outcome.ending is Ending.SUCCESS, kept.log_bytes
    words, variables = shown(kept)
    expected = "--name sentinel-7-11-2 --master yarn --deploy-mode cluster"
    expected += " --class com.example.Main --queue root.etl --executor-memory 2g --num-executors 3"
    files = ["--jars", f"{tmp_path}/b.jar", "--py-files", f"{tmp_path}/c.zip"]
    conf = ["--conf", "spark.a=x y; $(touch hit)", "--conf", "spark.b=true"]
    conf += ["--conf", next(word for word in words if word.startswith("spark.yarn.tags=sentinel-"))]
    assert words == [*expected.split(), *files, *conf, f"{tmp_path}/a.jar", "größer `id`", "show"]
    assert (variables["HADOOP_CONF_DIR"], variables["day"]) == ("/etc/hadoop", "2026-03-01")
    assert variables["SPARK_LOCAL_DIRS"] == variables["HOME"]
    assert variables["HADOOP_CLIENT_OPTS"] == "-Xmx1g -XX:-UsePerfData"
    assert variables["SPARK_SUBMIT_OPTS"] == "-XX:-UsePerfData"


def test_mapreduce_is_told_its_class_and_generic_options_before_the_arguments(
    server: Double, tmp_path: Path
) -> None:
    extra = {
        "mainClass": "com.example.Count",
        "queue": "etl",
        "conf": {"mapreduce.job.reduces": 4},
        "libjars": ["8"],
        "args": ["/in $x", "show"],
    }

    outcome, kept = run("", tmp_path, job_type="mapreduce", extra=extra)

    assert outcome.ending is Ending.SUCCESS, kept.log_bytes
    words, _ = shown(kept)
    options = "com.example.Count -D mapreduce.job.queuename=etl -D mapreduce.job.reduces=4"
    options += f" -libjars {tmp_path}/b.jar"
    assert words == ["jar", f"{tmp_path}/a.jar", *options.split(), "/in $x", "show"]


def test_a_template_may_put_words_anywhere(
    server: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    template = f"'{tmp_path}/client' --verbose {{options}} --proxy 'a b' {{content}} {{args}}"
    monkeypatch.setenv("SENTINEL_SPARK_COMMAND", template)

    words, _ = shown(run("show", tmp_path)[1])

    assert words[0] == "--verbose"
    assert words[-4:] == ["--proxy", "a b", f"{tmp_path}/a.jar", "show"]


def test_a_python_program_is_handed_over_as_a_file_and_has_no_class(
    server: Double, tmp_path: Path
) -> None:
    text = {"content": "print('größer')", "content_type": ContentType.TEXT}

    words, variables = shown(run("show", tmp_path, **text)[1])
    outcome, kept = run("", tmp_path, extra={"mainClass": "Main"}, **text)

    assert words[-2:] == [f"{variables['HOME']}/content.py", "show"]
    assert (outcome.reason, outcome.is_final) == ("BAD_PARAMS", True)
    assert b"params.mainClass: a Python program has none" in kept.log_bytes


@pytest.mark.parametrize(
    ("template", "why"),
    [
        ("/nowhere/spark-submit", "no program /nowhere/spark-submit, see SENTINEL_SPARK_COMMAND"),
        ("env {options} {content}", "SENTINEL_SPARK_COMMAND must have {args} once"),
        ("env {options} {content} x={args}", "SENTINEL_SPARK_COMMAND must have {args} once"),
        ("env '", "SENTINEL_SPARK_COMMAND cannot be cut into words"),
    ],
)
def test_a_command_that_cannot_be_run_is_final(
    template: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_SPARK_COMMAND", template)

    outcome, kept = run("show", tmp_path)

    assert (outcome.reason, outcome.is_final) == ("NO_CLIENT", True)
    assert why in outcome.message
    assert why in kept.log_bytes.decode()


def test_five_megabytes_of_log_arrive_whole(server: Double, tmp_path: Path) -> None:
    outcome, kept = run("submit big", tmp_path)

    assert outcome.ending is Ending.SUCCESS
    assert kept.log_bytes.count(b"0123456789" * 10 + b"\n") == 50_000


# -- shell -----------------------------------------------------------------------------------------


def shell(script: str, root: Path, **extra: Any) -> tuple[Outcome, Kept]:
    running = Run(make_execution(script, root=root, extra={"yarn": True, **extra}))
    return running.outcome(60), running.kept


def test_a_shell_job_that_asks_for_it_ends_its_applications(server: Double, tmp_path: Path) -> None:
    script = f"{tmp_path}/client 'submit hang'"
    without = Run(make_execution(script, root=tmp_path))
    running = Run(make_execution(script, root=tmp_path, extra={"yarn": True}))
    for each in (without, running):
        assert submitted(each)
        each.stop(StopReason.KILL)
        assert each.outcome().ending is Ending.KILLED

    assert sorted(server.states()) == ["KILLED", "RUNNING"]
