"""What a Java job runs: a class that is compiled here, in a jar, on a real Java machine."""

from __future__ import annotations

import shutil
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from jobs.rules.enums import ContentType
from tasks_app.executors.base import Ending, Outcome, StopReason
from tests.flow.executions import Kept, Run, eventually, make_execution

pytestmark = pytest.mark.skipif(
    not (shutil.which("javac") and shutil.which("jar")), reason="there is no JDK on the PATH"
)

MAIN = """
public class Main {
  public static void main(String[] args) throws Exception {
    String mode = args.length > 0 ? args[0] : "";
    if (mode.equals("fail")) throw new IllegalStateException("no such table: gr\\u00f6\\u00dfer");
    if (mode.equals("sleep")) { System.out.println("asleep"); Thread.sleep(60000); }
    if (mode.equals("big"))
      for (int i = 0; i < 50000; i++) System.out.println("0123456789".repeat(10));
    System.out.println(String.join("|", args) + " " + System.getenv("day") + " "
      + System.getProperty("flag") + " " + Helper.word());
    System.err.println("to the log");
  }
}
"""
HELPER = 'class Helper { static String word() { return "helped \\u00e9"; } }'
OTHER_HELPER = 'public class Helper { public static String word() { return "from elsewhere"; } }'


@pytest.fixture(autouse=True)
def as_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")


@pytest.fixture(scope="module")
def jars(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return jars by the ids of their artifacts: whole, without its helper, the helper alone."""
    folder = tmp_path_factory.mktemp("jars")
    return {
        "1": _jar(folder / "whole", {"Main": MAIN, "Helper": HELPER}, main="Main"),
        "2": _jar(folder / "main", {"Main": MAIN, "Helper": HELPER}, drop="Helper"),
        "3": _jar(folder / "helper", {"Helper": OTHER_HELPER}),
    }


def _jar(folder: Path, sources: dict[str, str], *, main: str = "", drop: str = "") -> Path:
    folder.mkdir()
    files = []
    for name, text in sources.items():
        files.append(folder / f"{name}.java")
        files[-1].write_text(text)
    subprocess.run(["javac", "-d", folder / "out", *files], check=True)
    if drop:
        (folder / "out" / f"{drop}.class").unlink()
    entry = ["--main-class", main] if main else []
    jar = folder.with_suffix(".jar")
    subprocess.run(
        ["jar", "--create", "--file", jar, *entry, "-C", folder / "out", "."], check=True
    )
    return jar


def started(jars: dict[str, Path], content: str, root: Path, **changes: object) -> Run:
    words = {"content_type": ContentType.JAR, "artifacts": jars, "job_type": "java"}
    return Run(make_execution(content, root=root, **words, **changes))


def run(jars: dict[str, Path], content: str, root: Path, **changes: object) -> tuple[Outcome, Kept]:
    finished = started(jars, content, root, **changes)
    return finished.outcome(60), finished.kept


def test_a_jar_runs_its_main_class_with_arguments_and_options(
    jars: dict[str, Path], tmp_path: Path
) -> None:
    extra = {"args": ["a b", "$(x)", "é"], "jvmOptions": ["-Dflag=on", "-Xmx64m"], "day": "1;2"}

    outcome, kept = run(jars, "1", tmp_path, extra=extra)

    assert outcome.ending is Ending.SUCCESS, kept.log_bytes
    assert kept.result_bytes.decode() == "a b|$(x)|é 1;2 on helped é\n"
    assert kept.log_bytes == b"to the log\n"


def test_a_class_runs_with_the_artifacts_of_its_class_path(
    jars: dict[str, Path], tmp_path: Path
) -> None:
    outcome, kept = run(jars, "2", tmp_path, extra={"mainClass": "Main", "classpath": ["3"]})

    assert outcome.ending is Ending.SUCCESS, kept.log_bytes
    assert kept.result_bytes == b" null null from elsewhere\n"


def test_an_exception_is_in_the_log(jars: dict[str, Path], tmp_path: Path) -> None:
    outcome, kept = run(jars, "1", tmp_path, extra={"args": ["fail"]})

    assert (outcome.ending, outcome.exit_code, outcome.reason) == (Ending.FAILED, 1, "EXIT_CODE")
    assert "IllegalStateException: no such table: größer" in kept.log_bytes.decode()


def test_a_class_that_is_not_there_is_javas_own_word(jars: dict[str, Path], tmp_path: Path) -> None:
    outcome, kept = run(jars, "1", tmp_path, extra={"mainClass": "com.example.Gone"})

    assert outcome.ending is Ending.FAILED
    assert b"com.example.Gone" in kept.log_bytes


def test_five_megabytes_arrive_whole(jars: dict[str, Path], tmp_path: Path) -> None:
    _, kept = run(jars, "1", tmp_path, extra={"args": ["big"]})

    assert kept.result_bytes.count(b"0123456789" * 10 + b"\n") == 50_000


def test_a_kill_ends_the_machine(jars: dict[str, Path], tmp_path: Path) -> None:
    running = started(jars, "1", tmp_path, extra={"args": ["sleep"]})
    assert eventually(lambda: running.kept.result_bytes == b"asleep\n", within=60)

    running.stop(StopReason.KILL)

    assert running.outcome().ending is Ending.KILLED


def test_a_machine_that_takes_too_long_times_out(jars: dict[str, Path], tmp_path: Path) -> None:
    outcome, _ = run(jars, "1", tmp_path, extra={"args": ["sleep"]}, timeout=timedelta(seconds=2))

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "TIMEOUT")


def test_nothing_is_left_in_the_common_temporary_directory(
    jars: dict[str, Path], tmp_path: Path
) -> None:
    _, kept = run(jars, "1", tmp_path, extra={"jvmOptions": ["-XshowSettings:properties"]})

    assert f"java.io.tmpdir = {tmp_path}" in kept.log_bytes.decode()


def test_without_java_the_run_says_so_and_is_not_tried_again(
    jars: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SENTINEL_JAVA", "/nowhere/java")

    outcome, kept = run(jars, "1", tmp_path)

    assert (outcome.reason, outcome.is_final) == ("NO_CLIENT", True)
    assert "/nowhere/java" in outcome.message
    assert outcome.message.encode() in kept.log_bytes
