"""What a Python job sees, prints and ends with."""

from __future__ import annotations

import hashlib
import sys
import venv
from datetime import timedelta
from pathlib import Path

import pytest

from tasks_app.executors.base import Ending, Outcome, StopReason
from tests.flow.executions import Kept, Run, eventually, living, make_execution, new_marker


@pytest.fixture(autouse=True)
def interpreters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    monkeypatch.setenv("SENTINEL_PYTHONS", f"default={sys.executable}")


def run(content: str, root: Path, **changes: object) -> tuple[Outcome, Kept]:
    finished = Run(make_execution(content, root=root, job_type="python", **changes))
    return finished.outcome(), finished.kept


def test_a_program_prints_bytes_and_text_as_it_means_them(tmp_path: Path) -> None:
    outcome, kept = run(
        "import sys\nsys.stdout.buffer.write(bytes(range(256)))\nprint('größer 🙂')\n"
        "print('log', file=sys.stderr)",
        tmp_path,
    )

    assert outcome.ending is Ending.SUCCESS
    assert kept.result_bytes == bytes(range(256)) + "größer 🙂\n".encode()
    assert kept.log_bytes == b"log\n"


def test_arguments_and_variables_arrive_as_they_are(tmp_path: Path) -> None:
    extra = {"args": ["a b", "$(touch hit)", "-x", ""], "day": "x; y", "interpreter": "default"}

    _, kept = run(
        "import os, sys\nprint(sys.argv[1:], os.environ['day'], 'args' in os.environ,"
        " 'interpreter' in os.environ, os.listdir())",
        tmp_path,
        extra=extra,
    )

    told = "['a b', '$(touch hit)', '-x', ''] x; y False False ['content.py']\n"
    assert kept.result_bytes.decode() == told


def test_an_exception_is_in_the_log_and_ends_with_code_1(tmp_path: Path) -> None:
    outcome, kept = run("raise ValueError('no such day: größer')", tmp_path)

    assert (outcome.ending, outcome.exit_code, outcome.reason) == (Ending.FAILED, 1, "EXIT_CODE")
    assert "ValueError: no such day: größer" in kept.log_bytes.decode()


def test_what_it_prints_is_seen_while_it_runs(tmp_path: Path) -> None:
    running = Run(make_execution("print('a')\ninput()", root=tmp_path, job_type="python"))
    waiting = Run(
        make_execution(
            "import time\nprint('half', end='')\ntime.sleep(60)", root=tmp_path, job_type="python"
        )
    )

    assert eventually(lambda: waiting.kept.result_bytes == b"half")
    waiting.stop(StopReason.KILL)
    assert waiting.outcome().ending is Ending.KILLED
    assert "EOFError" in running.outcome().message or b"EOFError" in running.kept.log_bytes


def test_five_megabytes_arrive_whole(tmp_path: Path) -> None:
    _, kept = run("import sys\nfor _ in range(5000): sys.stdout.write('é' * 512)", tmp_path)

    expected = hashlib.sha256(("é" * 512 * 5000).encode()).digest()
    assert hashlib.sha256(kept.result_bytes).digest() == expected


def test_a_kill_ends_the_program_and_what_it_started(tmp_path: Path) -> None:
    marker = new_marker()
    running = Run(
        make_execution(
            f"import subprocess\nsubprocess.run(['sleep', '{marker}'])",
            root=tmp_path,
            job_type="python",
        )
    )
    assert eventually(lambda: bool(living(marker)))

    running.stop(StopReason.KILL)

    assert running.outcome().ending is Ending.KILLED
    assert living(marker) == []


def test_a_program_that_takes_too_long_times_out(tmp_path: Path) -> None:
    outcome, _ = run("import time\ntime.sleep(60)", tmp_path, timeout=timedelta(seconds=1))

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "TIMEOUT")


def test_a_venv_is_an_interpreter_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "analytics"
    venv.create(home, symlinks=True, with_pip=False)
    monkeypatch.setenv("SENTINEL_PYTHONS", f"analytics={home}/bin/python,default={sys.executable}")

    _, kept = run(
        "import sys; print(sys.prefix)", tmp_path / "w", extra={"interpreter": "analytics"}
    )

    assert kept.result_bytes.decode().strip() == str(home)


def test_an_interpreter_that_the_worker_does_not_have_is_told_and_final(tmp_path: Path) -> None:
    outcome, kept = run("print(1)", tmp_path, extra={"interpreter": "gone"})

    assert (outcome.ending, outcome.reason, outcome.is_final) == (
        Ending.FAILED,
        "BAD_PARAMS",
        True,
    )
    assert "this worker has default, not gone" in outcome.message
    assert outcome.message.encode() in kept.log_bytes
