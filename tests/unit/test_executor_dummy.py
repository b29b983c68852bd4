"""The dummy does what its parameters say, the registry knows it, and a stop keeps its reason."""

from __future__ import annotations

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from sentinel_project.errors import InvalidParameters
from tasks_app.executors import executor_for, job_types
from tasks_app.executors.base import Ending, Outcome, Stop, StopReason
from tests.flow.executions import Kept, Run, make_execution

NOWHERE = Path("/nonexistent")


def run(**extra: Any) -> tuple[Outcome, Kept]:
    kept = Kept()
    execution = make_execution(root=NOWHERE, job_type="dummy", extra=extra)
    return executor_for("dummy")(execution, kept, Stop()), kept


def sleeping(**changes: Any) -> Run:
    return Run(make_execution(root=NOWHERE, job_type="dummy", extra={"sleep": 60}, **changes))


def test_a_dummy_without_parameters_succeeds() -> None:
    outcome, kept = run()

    assert (outcome.ending, outcome.exit_code) == (Ending.SUCCESS, 0)
    assert (kept.result_bytes, kept.log_bytes) == (b"", b"")


def test_a_dummy_prints_and_fails_as_told() -> None:
    outcome, kept = run(output="größer\n", exitCode=3, sleep=0.01)

    assert (outcome.ending, outcome.exit_code, outcome.reason) == (Ending.FAILED, 3, "EXIT_CODE")
    assert kept.result_bytes == "größer\n".encode()


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({"sleeep": 1}, id="unknown"),
        pytest.param({"sleep": -1}, id="negative"),
        pytest.param({"sleep": "1"}, id="a string"),
        pytest.param({"sleep": True}, id="a boolean"),
        pytest.param({"sleep": float("nan")}, id="not a number"),
        pytest.param({"sleep": 1e300}, id="longer than a thread can wait"),
        pytest.param({"output": 1}, id="output is no string"),
        pytest.param({"exitCode": 1.0}, id="exit code is no integer"),
        pytest.param({"exitCode": 256}, id="exit code out of range"),
    ],
)
def test_a_parameter_that_makes_no_sense_fails_the_run(extra: dict[str, Any]) -> None:
    outcome, _ = run(**extra)

    (name,) = extra
    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "BAD_PARAMS")
    assert name in outcome.message
    assert outcome.is_final


def test_a_dummy_takes_the_parameters_of_what_it_stands_in_for() -> None:
    outcome, _ = run(day="2026-03-04", mainClass="Main", tables=["a"])

    assert outcome.ending is Ending.SUCCESS


@pytest.mark.parametrize(
    ("reason", "ending"),
    [
        (StopReason.KILL, Ending.KILLED),
        (StopReason.SHUTDOWN, Ending.INTERRUPTED),
        (StopReason.FENCED, Ending.INTERRUPTED),
    ],
)
def test_a_sleeping_dummy_can_be_stopped(reason: StopReason, ending: Ending) -> None:
    dummy = sleeping()

    dummy.stop(reason)

    outcome = dummy.outcome(within=5)
    assert (outcome.ending, outcome.reason) == (ending, reason)


def test_a_dummy_that_sleeps_too_long_times_out() -> None:
    outcome = sleeping(timeout=timedelta(milliseconds=20)).outcome(within=5)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "TIMEOUT")


def test_the_built_in_types_are_there() -> None:
    assert {"dummy", "shell"} <= set(job_types())


def test_an_unknown_job_type_is_refused_with_the_list() -> None:
    with pytest.raises(InvalidParameters, match=r"'cobol'; known: .*shell"):
        executor_for("cobol")


def test_the_first_reason_to_stop_stays_unless_fenced() -> None:
    stop = Stop()
    before = (stop.reason, stop.wait(0))

    stop.request(StopReason.SHUTDOWN)
    stop.request(StopReason.KILL)
    second = stop.reason
    stop.request(StopReason.FENCED)
    stop.request(StopReason.KILL)

    assert before == (None, False)
    assert (second, stop.reason, stop.wait(0)) == (StopReason.SHUTDOWN, StopReason.FENCED, True)


def test_a_request_wakes_who_waits() -> None:
    stop = Stop()
    threading.Timer(0.05, stop.request, [StopReason.KILL]).start()

    assert stop.wait(10)
