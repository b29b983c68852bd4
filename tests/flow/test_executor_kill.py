"""However a run ends, nothing of it survives (X-21, X-23, D-53)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tasks_app.executors.base import Ending, Fenced, Outcome, Stop, StopReason
from tasks_app.executors.shell import execute
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

SHORT = timedelta(seconds=0.5)


@pytest.fixture(params=CONTAINMENTS, autouse=True)
def containment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    return contain_by(request.param, monkeypatch)


@pytest.fixture
def marker() -> Iterator[str]:
    mark = new_marker()
    yield mark
    for process in living(mark):
        process.kill()


def started(run: Run, marker: str, count: int = 1) -> Run:
    """Wait until ``count`` marked processes are there, so that there is something to end."""
    assert eventually(lambda: len(living(marker)) >= count), run.kept.log_bytes
    return run


def daemon(marker: str) -> str:
    """Fork twice, into a session of its own, without environment, deaf to SIGTERM."""
    return f"(setsid env -i bash -c \"trap '' TERM HUP; sleep {marker}\" >/dev/null 2>&1 &)"


def test_a_kill_ends_every_process_and_nothing_runs_after_it(tmp_path: Path, marker: str) -> None:
    content = f"sleep {marker} & sleep {marker}; echo next"
    run = started(Run(make_execution(content, root=tmp_path)), marker, count=2)

    run.stop(StopReason.KILL)

    assert run.outcome() == Outcome(Ending.KILLED, 143, "KILL", "Killed on request.")
    assert living(marker) == []
    assert run.kept.result_bytes == b""


def test_a_killed_script_may_tidy_up_and_is_killed_whatever_it_returns(
    tmp_path: Path, marker: str
) -> None:
    content = f"trap 'echo tidy; exit 0' TERM; sleep {marker} & wait"
    run = started(Run(make_execution(content, root=tmp_path)), marker)

    run.stop(StopReason.KILL)

    outcome = run.outcome()
    assert (outcome.ending, outcome.exit_code) == (Ending.KILLED, 0)
    assert run.kept.result_bytes == b"tidy\n"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("trap '' TERM; sleep {0}; sleep {0}", id="deaf to TERM"),
        pytest.param("(trap '' TERM; setsid sleep {0} & sleep {0})", id="a session of its own"),
    ],
)
def test_what_outlives_its_grace_is_killed(tmp_path: Path, marker: str, content: str) -> None:
    execution = make_execution(content.format(marker), root=tmp_path, kill_grace=SHORT)
    run = started(Run(execution), marker)

    run.stop(StopReason.KILL)

    assert run.outcome(within=10).ending is Ending.KILLED
    assert living(marker) == []


def test_a_stopped_process_hears_the_request_to_end(tmp_path: Path, marker: str) -> None:
    content = f"sleep {marker} & sleep 0.3; kill -STOP $!; echo stopped; wait"
    run = Run(make_execution(content, root=tmp_path))
    assert eventually(lambda: run.kept.result_bytes == b"stopped\n")

    run.stop(StopReason.KILL)

    assert run.outcome(within=10).exit_code == 143
    assert living(marker) == []


def test_a_daemon_does_not_escape_a_kill(tmp_path: Path, marker: str) -> None:
    content = f"{daemon(marker)}; sleep {marker}"
    run = started(Run(make_execution(content, root=tmp_path, kill_grace=SHORT)), marker, count=2)

    run.stop(StopReason.KILL)

    assert run.outcome().reason == "KILL"
    assert living(marker) == []


def test_a_daemon_does_not_outlive_a_success(tmp_path: Path, marker: str) -> None:
    kept = Kept()
    content = f"{daemon(marker)}; until pgrep -f {marker} >/dev/null; do :; done"

    outcome = execute(make_execution(content, root=tmp_path), kept, Stop())

    assert outcome.ending is Ending.SUCCESS
    assert living(marker) == []
    assert b"ending them" in kept.log_bytes


def test_a_timeout_ends_the_tree_and_fails_the_run(tmp_path: Path, marker: str) -> None:
    execution = make_execution(
        f"sleep {marker} & sleep {marker}", root=tmp_path, timeout=timedelta(seconds=1)
    )

    outcome = Run(execution).outcome(within=10)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "TIMEOUT")
    assert "1 seconds" in outcome.message
    assert living(marker) == []


def test_a_shutdown_lets_the_script_tidy_up_and_hands_it_back(tmp_path: Path, marker: str) -> None:
    content = f"trap 'echo tidy; exit 1' TERM; sleep {marker} & wait"
    run = started(Run(make_execution(content, root=tmp_path)), marker)

    run.stop(StopReason.SHUTDOWN)

    outcome = run.outcome()
    assert (outcome.ending, outcome.reason) == (Ending.INTERRUPTED, "SHUTDOWN")
    assert run.kept.result_bytes == b"tidy\n"
    assert living(marker) == []


def test_a_fenced_run_has_no_grace(tmp_path: Path, marker: str) -> None:
    content = f"trap 'echo tidy' TERM; sleep {marker} & wait; wait"
    run = started(Run(make_execution(content, root=tmp_path)), marker)

    run.stop(StopReason.FENCED)

    outcome = run.outcome(within=10)
    assert (outcome.ending, outcome.reason) == (Ending.INTERRUPTED, "FENCED")
    assert run.kept.result_bytes == b""
    assert living(marker) == []


def test_being_fenced_cuts_a_grace_short(tmp_path: Path, marker: str) -> None:
    content = f"trap 'echo deaf' TERM; while :; do sleep {marker}; done"
    run = started(Run(make_execution(content, root=tmp_path)), marker)
    run.stop(StopReason.KILL)
    assert eventually(lambda: b"deaf" in run.kept.result_bytes)

    run.stop(StopReason.FENCED)

    assert run.outcome(within=10).reason == "FENCED"
    assert living(marker) == []


class Refusing(Kept):
    """An output that refuses every byte of RESULT."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def result(self, data: bytes) -> None:
        raise self._error


def test_a_refused_chunk_ends_the_run_as_fenced(tmp_path: Path, marker: str) -> None:
    execution = make_execution(f"echo hello; sleep {marker}", root=tmp_path)

    outcome = Run(execution, Refusing(Fenced())).outcome(within=10)

    assert (outcome.ending, outcome.reason) == (Ending.INTERRUPTED, "FENCED")
    assert living(marker) == []


def test_a_broken_output_is_raised_once_the_tree_is_gone(tmp_path: Path, marker: str) -> None:
    execution = make_execution(f"echo hello; sleep {marker}", root=tmp_path)

    with pytest.raises(OSError, match="disk full"):
        execute(execution, Refusing(OSError("disk full")), Stop())

    assert living(marker) == []
    assert list(tmp_path.iterdir()) == []


def test_a_run_whose_guard_was_killed_still_leaves_nothing(
    tmp_path: Path, marker: str, containment: str
) -> None:
    """In a namespace its own children cannot kill process 1; elsewhere they can."""
    content = f"setsid sleep {marker} & sleep 0.3; kill -9 $PPID; echo on; sleep 1; exit 4"

    outcome = Run(make_execution(content, root=tmp_path)).outcome()

    expected = "EXIT_CODE" if containment == "pid-namespace" else "GUARD_LOST"
    assert (outcome.ending, outcome.reason) == (Ending.FAILED, expected)
    assert living(marker) == []


def test_what_emptied_its_environment_outlives_its_guard_in_a_mere_group_alone(
    tmp_path: Path, marker: str, containment: str
) -> None:
    """X-21: why a control group is better, where no namespace can be made.

    There the worker may be just in time: it hears of a guard's end an instant before the kernel
    gives away what came out of it. So that is tried again.
    """
    content = f"setsid env -i sleep {marker} & sleep 0.3; kill -9 $PPID; sleep 1"
    is_mere_group = containment == "process-group"

    for _ in range(5 if is_mere_group else 1):
        Run(make_execution(content, root=tmp_path)).outcome()
        if living(marker):
            break

    assert bool(living(marker)) == is_mere_group


def test_a_run_whose_guard_was_stopped_can_be_killed(tmp_path: Path, marker: str) -> None:
    content = f"setsid sleep {marker} & sleep 0.3; kill -STOP $PPID; sleep {marker}"
    execution = make_execution(content, root=tmp_path, kill_grace=SHORT)
    run = started(Run(execution), marker, count=2)

    run.stop(StopReason.KILL)

    assert run.outcome().reason == "KILL"
    assert living(marker) == []


def worker(
    content: str, root: Path, *words: str, prefix: tuple[str, ...] = ()
) -> subprocess.Popen[str]:
    """Start a worker process of its own that runs ``content``."""
    process = subprocess.Popen(
        [*prefix, sys.executable, "-m", "tests.flow.executions", str(root), *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    process.stdin.write(content)
    process.stdin.close()
    return process


def test_nothing_survives_a_worker_that_is_killed(tmp_path: Path, marker: str) -> None:
    content = f"trap '' TERM; {daemon(marker)}; setsid sleep {marker} & sleep {marker}"

    with worker(content, tmp_path, "30") as process:
        assert eventually(lambda: len(living(marker)) >= 3)
        process.send_signal(signal.SIGKILL)

    assert eventually(lambda: living(marker) == [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a process of another user")
def test_a_kill_that_cannot_be_proved_says_so(
    tmp_path: Path, marker: str, containment: str
) -> None:
    """D-53. A worker without CAP_KILL cannot end another user's process; the kernel still can."""
    powerless = ("setpriv", "--bounding-set", "-kill", "--")
    content = f"setpriv --reuid 65534 --regid 65534 --clear-groups sleep {marker}"

    with worker(content, tmp_path, "0.5", "2", prefix=powerless) as process:
        assert process.stdout is not None
        answer = process.stdout.read()

    survives = containment == "process-group"
    assert answer == ("KILLED KILL_UNCONFIRMED" if survives else "KILLED KILL")
    assert bool(living(marker)) == survives
