"""jobType ``dummy``: sleeps, prints and ends as its parameters say, without a process."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tasks_app.executors.base import (
    Ending,
    Execution,
    Fenced,
    Outcome,
    Output,
    Stop,
    StopReason,
    failed,
    stopped,
    timed_out,
)

_KNOWN = ("sleep", "output", "exitCode")


@dataclass(frozen=True, slots=True)
class _Act:
    """What a dummy is told to do."""

    sleep: float
    output: str
    exit_code: int


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Print ``output``, sleep ``sleep`` seconds, end with ``exitCode``."""
    problems = bad_params(execution.extra)
    if problems:
        return failed("BAD_PARAMS", "; ".join(problems))
    act = _act(execution.extra)
    try:
        if act.output:
            output.result(act.output.encode(errors="replace"))
    except Fenced:
        stop.request(StopReason.FENCED)
    return _ending(execution, act, stop)


def bad_params(extra: Mapping[str, Any]) -> list[str]:
    """Return a sentence for every parameter a dummy does not know or cannot use."""
    problems = [f"unknown parameter {name!r}" for name in extra if name not in _KNOWN]
    if not _is_duration(extra.get("sleep", 0)):
        problems.append("sleep must be a number of seconds, 0 or more")
    if not isinstance(extra.get("output", ""), str):
        problems.append("output must be a string")
    if not _is_exit_code(extra.get("exitCode", 0)):
        problems.append("exitCode must be an integer from 0 to 255")
    return problems


def _is_duration(value: object) -> bool:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return 0 <= value <= _LONGEST and math.isfinite(value)


# What a thread can be asked to wait for without an overflow: a bit over 31 years.
_LONGEST = 10**9


def _is_exit_code(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _act(extra: Mapping[str, Any]) -> _Act:
    return _Act(
        sleep=float(extra.get("sleep", 0)),
        output=extra.get("output", ""),
        exit_code=extra.get("exitCode", 0),
    )


def _ending(execution: Execution, act: _Act, stop: Stop) -> Outcome:
    limit = None if execution.timeout is None else execution.timeout.total_seconds()
    is_late = limit is not None and limit < act.sleep
    stop.wait(limit if limit is not None and is_late else act.sleep)
    if stop.reason is not None:
        return stopped(stop.reason)
    if execution.timeout is not None and is_late:
        return timed_out(execution.timeout)
    if act.exit_code:
        message = f"Ended with exit code {act.exit_code}."
        return Outcome(Ending.FAILED, act.exit_code, "EXIT_CODE", message)
    return Outcome(Ending.SUCCESS, 0, None, "Ended with exit code 0.")
