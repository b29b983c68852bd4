"""jobType ``dummy``: sleeps, prints and ends as its parameters say, without a process.

It stands in for another type in rehearsals, so it takes that one's content and parameters too.
"""

from __future__ import annotations

from tasks_app.executors import params
from tasks_app.executors.base import (
    Ending,
    Execution,
    Fenced,
    Outcome,
    Output,
    Stop,
    StopReason,
    stopped,
    timed_out,
)
from tasks_app.executors.jobtype import JobType, Others

# What a thread can be asked to wait for without an overflow: a bit over 31 years.
_LONGEST = 10**9
PARAMS = {
    "sleep": params.number(0, _LONGEST, "a number of seconds, 0 or more"),
    "output": params.text(),
    "exitCode": params.integer(0, 255),
}


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Print ``output``, sleep ``sleep`` seconds, end with ``exitCode``."""
    text = str(execution.extra.get("output", ""))
    try:
        if text:
            output.result(text.encode())
    except Fenced:
        stop.request(StopReason.FENCED)
    return _ending(execution, stop)


def _ending(execution: Execution, stop: Stop) -> Outcome:
    sleep = float(execution.extra.get("sleep", 0))
    limit = None if execution.timeout is None else execution.timeout.total_seconds()
    is_late = limit is not None and limit < sleep
    stop.wait(limit if limit is not None and is_late else sleep)
    if stop.reason is not None:
        return stopped(stop.reason)
    if execution.timeout is not None and is_late:
        return timed_out(execution.timeout)
    code = int(execution.extra.get("exitCode", 0))
    if code:
        return Outcome(Ending.FAILED, code, "EXIT_CODE", f"Ended with exit code {code}.")
    return Outcome(Ending.SUCCESS, 0, None, "Ended with exit code 0.")


TYPE = JobType(
    execute=execute, params=PARAMS, others=Others.FREE, reads_content=False, is_in_process=True
)
