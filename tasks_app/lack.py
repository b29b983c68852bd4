"""What the window of a dependency lacks, in words that name what would let the run go (D-34)."""

from __future__ import annotations

from jobs import selectors
from jobs.expected import ExpectedRun
from jobs.models import Job
from jobs.rules.enums import CommonStrategy
from jobs.rules.windows import Window
from tasks_app.rules.states import Reason, TaskStatus


def lack(
    job: Job, dependent: Job, strategy: CommonStrategy, runs: list[ExpectedRun], span: Window
) -> tuple[Reason, str]:
    """Return which run of ``job`` ``dependent`` waits for, of those in an unsatisfied window.

    A job that is closed to the dependent's app shows its id and that the run is not done (D-80).
    """
    zone = job.zone
    is_closed = selectors.is_closed_to(dependent, job)
    name = f"job {job.pk}" if is_closed else f"job {job.pk} ({job.name})"
    if not runs:
        start, end = (f"{t.astimezone(zone):%Y-%m-%d %H:%M:%S}" for t in (span.start, span.end))
        left = "; what was due there was removed by retention" if job.has_left(span.start) else ""
        return Reason.NO_EXPECTED_RUN, f"{name} has no run expected in [{start}, {end}){left}"
    run = runs[-1] if strategy is CommonStrategy.LASTONE else _first_undone(runs)
    subject = f"the run of {name} due {run.due_at.astimezone(zone):%Y-%m-%d %H:%M:%S}"
    if is_closed:
        return Reason.UPSTREAM_NOT_DONE, f"{subject} is not done"
    if run.status in {TaskStatus.FAILED, TaskStatus.KILLED}:
        assert run.status is not None
        return Reason.UPSTREAM_FAILED, f"{subject} is {run.status.name}; retry, force or remove it"
    state = "not opened yet" if run.status is None else run.status.name
    return Reason.UPSTREAM_NOT_DONE, f"{subject} is {state}"


def _first_undone(runs: list[ExpectedRun]) -> ExpectedRun:
    broken = {TaskStatus.FAILED, TaskStatus.KILLED}
    undone = [run for run in runs if not run.is_done]
    return next((run for run in undone if run.status in broken), undone[0])
