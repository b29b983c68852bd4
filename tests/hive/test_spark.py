"""What a Spark job runs, on real Spark in local mode: ``make test-hive`` brings it.

HIVE_TEST_SPARK_HOME names it, such as the directory of an installed ``pyspark``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from jobs.rules.enums import ContentType
from tasks_app.executors.base import Ending, Outcome, StopReason
from tests.flow.executions import Kept, Run, eventually, make_execution

HOME = Path(os.environ.get("HIVE_TEST_SPARK_HOME") or "/nonexistent")
SUBMIT = HOME / "bin" / "spark-submit"
PROGRAM = """
import os, sys, time
from pyspark.sql import SparkSession

session = SparkSession.builder.getOrCreate()
mode = sys.argv[-1]
if mode == "count":
    frame = session.createDataFrame([("größer", 1), ("🙂", 2)], ["word", "n"])
    print(sorted(tuple(row) for row in frame.collect()), os.environ["day"])
    print(session.range(1000).count(), session.sparkContext.appName, sys.argv[1:])
if mode == "fail":
    session.sql("SELECT * FROM gone").show()
if mode == "big":
    for row in session.range(50_000).selectExpr("repeat('0123456789', 10) AS t").toLocalIterator():
        print(row.t)
if mode == "sleep":
    print("asleep")
    session.sparkContext.parallelize([1], 1).foreach(lambda _: time.sleep(60))
"""
MAIN = """
import org.apache.spark.sql.SparkSession;

public class Main {
  public static void main(String[] args) {
    SparkSession session = SparkSession.builder().getOrCreate();
    System.out.println(String.join("|", args) + " " + session.range(7).count());
  }
}
"""

pytestmark = [
    pytest.mark.skipif(not SUBMIT.exists(), reason="no Spark: HIVE_TEST_SPARK_HOME"),
    pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java on the PATH"),
    pytest.mark.timeout(300),
    pytest.mark.xdist_group("spark"),  # one big Java machine at a time
]


@pytest.fixture(autouse=True)
def spark(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    monkeypatch.setenv("SENTINEL_SPARK_COMMAND", str(SUBMIT))
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    monkeypatch.setenv("SPARK_LOCAL_IP", "127.0.0.1")


def start(mode: str, root: Path, **changes: Any) -> Run:
    plain = {
        "content": PROGRAM,
        "job_type": "spark",
        "extra": {
            "master": "local[1]",
            "driverMemory": "600m",
            "conf": {"spark.ui.enabled": False, "spark.driver.bindAddress": "127.0.0.1"},
            "args": ["a b; $(id)", mode],
            "day": "2026-03-01",
        },
    }
    return Run(make_execution(root=root, **plain | changes))


def run(mode: str, root: Path, **changes: Any) -> tuple[Outcome, Kept]:
    running = start(mode, root, **changes)
    return running.outcome(200), running.kept


def test_a_python_program_runs_with_its_arguments_and_variables(tmp_path: Path) -> None:
    outcome, kept = run("count", tmp_path)

    assert outcome.ending is Ending.SUCCESS, kept.log_bytes
    assert kept.result_bytes.decode() == (
        "[('größer', 1), ('🙂', 2)] 2026-03-01\n1000 sentinel-7-11-2 ['a b; $(id)', 'count']\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_a_failure_has_sparks_own_words(tmp_path: Path) -> None:
    outcome, kept = run("fail", tmp_path)

    assert (outcome.ending, outcome.reason, outcome.exit_code) == (Ending.FAILED, "EXIT_CODE", 1)
    assert "AnalysisException: [TABLE_OR_VIEW_NOT_FOUND]" in outcome.message
    assert b"[TABLE_OR_VIEW_NOT_FOUND]" in kept.log_bytes


def test_five_megabytes_arrive_whole(tmp_path: Path) -> None:
    outcome, kept = run("big", tmp_path)

    assert outcome.ending is Ending.SUCCESS, kept.log_bytes
    assert kept.result_bytes == (b"0123456789" * 10 + b"\n") * 50_000


def test_a_kill_ends_driver_and_executors(tmp_path: Path) -> None:
    running = start("sleep", tmp_path)
    assert eventually(lambda: running.kept.result_bytes == b"asleep\n", within=200)

    running.stop(StopReason.KILL)

    outcome = running.outcome(60)
    assert (outcome.ending, outcome.reason) == (Ending.KILLED, "KILL")


def test_a_program_that_takes_too_long_times_out(tmp_path: Path) -> None:
    outcome, _ = run("sleep", tmp_path, timeout=timedelta(seconds=20))

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "TIMEOUT")


def test_a_program_imports_what_its_py_files_hold(tmp_path: Path) -> None:
    """A worker names every artifact .jar, which a zip of modules may be too."""
    modules = tmp_path / "modules.jar"
    with ZipFile(modules, "w") as file:
        file.writestr("helper.py", "WORD = 'größer'\n")
    program = """
from pyspark.sql import SparkSession
import helper
numbers = SparkSession.builder.getOrCreate().sparkContext.parallelize([1, 2], 2)
print(numbers.map(lambda n: __import__("helper").WORD * n).collect())
"""
    extra = {"master": "local[1]", "pyFiles": [9]}

    outcome, kept = run(
        "x",
        tmp_path / "work",
        content=program,
        artifacts={"9": modules},
        extra=extra,
    )

    assert outcome.ending is Ending.SUCCESS, kept.log_bytes
    assert kept.result_bytes.decode() == "['größer', 'größergrößer']\n"


def _jar(folder: Path) -> Path:
    """Compile ``Main`` against Spark itself."""
    (folder / "Main.java").write_text(MAIN)
    into = folder / "out"
    subprocess.run(["javac", "-cp", f"{HOME}/jars/*", "-d", into, folder / "Main.java"], check=True)
    jar = folder / "main.jar"
    subprocess.run(["jar", "--create", "--file", jar, "-C", into, "."], check=True)
    return jar


@pytest.mark.skipif(shutil.which("javac") is None, reason="there is no JDK on the PATH")
def test_a_jar_runs_its_class(tmp_path: Path) -> None:
    running = start(
        "x",
        tmp_path / "work",
        content="7",
        content_type=ContentType.JAR,
        artifacts={"7": _jar(tmp_path)},
        extra={"master": "local[1]", "mainClass": "Main", "args": ["a;b", "größer"]},
    )

    assert running.outcome(200).ending is Ending.SUCCESS, running.kept.log_bytes
    assert running.kept.result_bytes.decode() == "a;b|größer 7\n"
