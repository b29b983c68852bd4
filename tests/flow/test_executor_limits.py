"""No run takes more of its machine than it may, and none lives without its worker (X-20, X-21)."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest

from tasks_app.executors.base import Ending, Outcome, Stop
from tasks_app.executors.shell import execute
from tasks_app.rules.limits import Limits
from tests.flow.executions import (
    CONTAINMENTS,
    Kept,
    Run,
    contain_by,
    eventually,
    living,
    make_execution,
    new_marker,
)

MEGABYTE = 2**20
#: Doubles until 512 processes are there, each deaf to SIGTERM: a fork bomb that ends.
BOMB = """
trap '' TERM
bomb() { [ "$1" -gt 0 ] && { bomb $(($1 - 1)) & bomb $(($1 - 1)) & }; sleep {marker}; }
bomb 8
"""
HOG = "python3 -c 'import time; x = b\"x\" * ({size} << 20); print(len(x)); time.sleep({marker})'"


@pytest.fixture(params=CONTAINMENTS, autouse=True)
def containment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    contain_by(request.param, monkeypatch)


def run(content: str, root: Path, **limits: int) -> tuple[Outcome, Kept]:
    kept = Kept()
    execution = make_execution(content, root=root, limits=Limits(**limits))
    return execute(execution, kept, Stop()), kept


def test_a_fork_bomb_is_ended_and_nothing_of_it_is_left(tmp_path: Path) -> None:
    marker = new_marker()

    outcome, kept = run(BOMB.replace("{marker}", marker), tmp_path, processes=40)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "LIMIT")
    assert "processes is 40" in outcome.message
    assert outcome.message.encode() in kept.log_bytes
    assert living(marker) == []


def test_a_run_below_its_limits_is_left_alone(tmp_path: Path) -> None:
    content = "for i in $(seq 20); do sleep 0.3 & done; wait; echo done"

    outcome, kept = run(content, tmp_path, processes=60, memory=500 * MEGABYTE, openFiles=100)

    assert outcome.ending is Ending.SUCCESS
    assert kept.result_bytes == b"done\n"


def test_one_process_gets_no_more_memory_than_it_may(tmp_path: Path) -> None:
    content = HOG.format(size=400, marker=new_marker())

    outcome, kept = run(content, tmp_path, memory=200 * MEGABYTE)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "EXIT_CODE")
    assert b"MemoryError" in kept.log_bytes


def test_many_processes_get_no_more_memory_together_than_they_may(tmp_path: Path) -> None:
    marker = str(300)
    content = " & ".join([HOG.format(size=60, marker=marker)] * 4) + "; wait"

    outcome, _ = run(content, tmp_path, memory=150 * MEGABYTE)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "LIMIT")
    assert f"memory is {150 * MEGABYTE}" in outcome.message


@pytest.mark.parametrize(
    ("content", "limits", "answer"),
    [
        pytest.param("ulimit -t", {"cpu": 7}, b"7\n", id="cpu"),
        pytest.param("ulimit -n", {"openFiles": 99}, b"99\n", id="open files"),
        pytest.param("ulimit -f", {"fileSize": 4096}, b"4\n", id="file size"),
        pytest.param("nice", {"nice": 11}, b"11\n", id="nice"),
        pytest.param("ulimit -c", {}, b"0\n", id="core"),
    ],
)
def test_the_kernel_is_told_of_the_limits(
    tmp_path: Path, content: str, limits: dict[str, int], answer: bytes
) -> None:
    _, kept = run(f"sleep 0.1; {content}", tmp_path, **limits)

    assert kept.result_bytes == answer


def test_too_much_cpu_time_ends_a_process(tmp_path: Path) -> None:
    outcome, _ = run("while :; do :; done", tmp_path, cpu=1)

    assert outcome.ending is Ending.FAILED
    assert outcome.reason == "SIGNAL"


def test_a_run_whose_worker_renews_nothing_ends_by_itself(tmp_path: Path) -> None:
    """A worker that was stopped cannot kill; its lease runs out, and another will start the run."""
    marker = new_marker()
    content = f"trap '' TERM; setsid sleep {marker} & sleep {marker}"

    outcome = Run(make_execution(content, root=tmp_path, unattended=timedelta(seconds=1))).outcome()

    assert (outcome.ending, outcome.reason) == (Ending.INTERRUPTED, "FENCED")
    assert living(marker) == []


def test_a_run_whose_worker_renews_goes_on(tmp_path: Path) -> None:
    stop, over = Stop(), threading.Event()

    def renew() -> None:
        while not over.wait(0.1):
            stop.renew()

    threading.Thread(target=renew, daemon=True).start()
    kept = Kept()
    execution = make_execution("sleep 3; echo on", root=tmp_path, unattended=timedelta(seconds=1.5))

    outcome = execute(execution, kept, stop)

    over.set()
    assert (outcome.ending, kept.result_bytes) == (Ending.SUCCESS, b"on\n")


def test_a_stopped_worker_leaves_no_run_behind(tmp_path: Path) -> None:
    """The whole of it: SIGSTOP of the worker, and its tree is gone while it sleeps."""
    marker = new_marker()
    command = [sys.executable, "-m", "tests.flow.executions", str(tmp_path), "30", "", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        worker.stdin.write(f"setsid sleep {marker} & sleep {marker}")
        worker.stdin.close()
        assert eventually(lambda: len(living(marker)) == 2)
        worker.send_signal(signal.SIGSTOP)

        assert eventually(lambda: living(marker) == [])

        worker.kill()
