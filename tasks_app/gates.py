"""The gates between a due time and its run: planner, claim and explain ask these very functions.

A gate answers for one task at one instant. Dependencies and the serial order hold a WAITING task;
the others are asked when a READY one is about to start (D-34, D-40, D-56, D-60, D-80).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from jobs.expected import Expectations, ExpectedRun
from jobs.facts import Facts, Upstream
from jobs.models import Job
from jobs.rules.enums import CommonStrategy, GapReason, JobStatus
from jobs.rules.offsets import window
from jobs.rules.strategies import is_satisfied
from jobs.rules.windows import Window
from tasks_app import ledger
from tasks_app.lack import lack
from tasks_app.models import Gap, Task
from tasks_app.rules.states import Reason, TaskKind, TaskStatus

#: Windows of up to so many runs are computed run by run.
FEW = 60


class GateState(StrEnum):
    PASSED = "passed"
    BLOCKING = "blocking"
    NOT_REACHED = "not_reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate's answer; ``expected``: the first of a dependency's runs, if they were asked for."""

    name: str
    state: GateState = GateState.PASSED
    reason: Reason | None = None
    text: str = ""
    window: Window | None = None
    expected: tuple[ExpectedRun, ...] | None = None
    has_more: bool = False

    #: Since when it is so, where that is asked for and known.
    since: datetime | None = None

    @property
    def is_blocking(self) -> bool:
        return self.state is GateState.BLOCKING


def blocked(name: str, reason: Reason, text: str, *, since: datetime | None = None) -> Gate:
    return Gate(name=name, state=GateState.BLOCKING, reason=reason, text=text, since=since)


def holding_gates(task: Task, expectations: Expectations, *, now: datetime) -> Iterator[Gate]:
    """Yield the gates that hold a WAITING task: each dependency, then the serial order."""
    facts = expectations.facts(task.job_id)
    match TaskKind(task.kind):
        case TaskKind.RERUN:
            for upstream in facts.upstreams:
                yield _batch_gate(task, facts, upstream)
            yield _batch_serial_gate(task, facts.job)
        case TaskKind.SCHEDULE | TaskKind.TEMP:
            for upstream in expectations.counting(facts):
                yield dependency_gate(facts, upstream, task.due_at, expectations, now=now)
            if task.kind == TaskKind.SCHEDULE:
                yield serial_gate(facts.job, task.due_at, expectations)
        case TaskKind.MANUAL:
            return


# -- dependencies ------------------------------------------------------------------------------


def dependency_gate(
    facts: Facts,
    upstream: Upstream,
    due_at: datetime,
    expectations: Expectations,
    *,
    now: datetime,
) -> Gate:
    """Tell whether ``upstream`` lets the run of ``facts.job`` due at ``due_at`` go (D-34)."""
    name = f"dependency:{upstream.job_id}"
    span = window(upstream.offset, due_at, facts.job.zone)
    runs = telling_runs(upstream, span, expectations)
    job = expectations.facts(upstream.job_id).job
    if is_satisfied(upstream.strategy, runs):
        return Gate(name=name, window=span)
    if not runs and job.status_at(now) is JobStatus.EXPIRED:
        text = f"job {job.pk} owes no run in this window: its active window is over"
        return Gate(name=name, window=span, text=text)
    reason, text = lack(job, facts.job, upstream.strategy, runs, span)
    return Gate(name=name, state=GateState.BLOCKING, reason=reason, text=text, window=span)


def telling_runs(
    upstream: Upstream, span: Window, expectations: Expectations, *, few: int = FEW
) -> list[ExpectedRun]:
    """Return the expected runs of a window, or as few of them as decide it.

    A window that may hold more than ``few`` is not computed run by run while one of them decides
    it, so that an event costs no more the larger the window is.
    """
    job_id = upstream.job_id
    if expectations.is_within(job_id, span, few):
        return expectations.runs(job_id, span)
    match upstream.strategy:
        case CommonStrategy.ALL:
            undone = _undone_run(job_id, span, expectations)
            return [undone] if undone else expectations.runs(job_id, span)
        case CommonStrategy.LASTONE:
            last = expectations.latest(job_id, span)
            return [last] if last else []
        case CommonStrategy.ANYONE:
            done = ledger.first_done(job_id, span) or ledger.first_broken(job_id, span)
            first = done or expectations.earliest(job_id, span)
            return [first] if first else []


def _undone_run(job_id: int, span: Window, expectations: Expectations) -> ExpectedRun | None:
    """Return a run of a window that is not done, if one question finds it."""
    broken = ledger.first_broken(job_id, span)
    last = broken or expectations.latest(job_id, span)
    undone = last if last and not last.is_done else ledger.first_unfinished(job_id, span)
    if undone is not None:
        return undone
    for lost in ledger.losses(job_id, span):
        for due in filter(span.contains, lost):
            runs = expectations.runs(job_id, Window(due, due))
            if runs and not runs[0].is_done:
                return runs[0]
    return None


def _batch_gate(task: Task, facts: Facts, upstream: Upstream) -> Gate:
    """As ``dependency_gate``, over the runs of the task's own batch; none hold nobody (D-51)."""
    name = f"dependency:{upstream.job_id}"
    span = window(upstream.offset, task.due_at, facts.job.zone)
    assert task.batch_id is not None
    runs = [
        ExpectedRun(row.due_at, TaskStatus(row.status), row.reason)
        for row in ledger.batch_runs(task.batch_id, upstream.job_id, span)
    ]
    if not runs or is_satisfied(upstream.strategy, runs):
        return Gate(name=name, window=span, expected=tuple(runs))
    job = Job.objects.get(pk=upstream.job_id)
    reason, text = lack(job, facts.job, upstream.strategy, runs, span)
    state = GateState.BLOCKING
    return Gate(name=name, state=state, reason=reason, text=text, window=span, expected=tuple(runs))


# -- the serial order --------------------------------------------------------------------------


def serial_gate(job: Job, due_at: datetime, expectations: Expectations) -> Gate:
    """Tell whether the previous expected run of a serial job is done (D-40).

    An expired one is looked past, task or gap; a CAPPED gap holds until somebody fills it.
    """
    if not job.is_serial:
        return Gate(name="serial")
    end = due_at
    floor = expectations.first_due(job.pk)
    while end > floor:
        run = expectations.latest(job.pk, Window(floor, end))
        if run is None or run.is_done:
            break
        gap = None if run.status else ledger.loss_at(job.pk, run.due_at)
        is_over = run.reason == Reason.EXPIRED or (gap and gap.reason == GapReason.EXPIRED)
        if not is_over:
            return _held_by(run, gap, job)
        end = min(gap.from_at, run.due_at) if gap else run.due_at
    return Gate(name="serial")


def _held_by(run: ExpectedRun, gap: Gap | None, job: Job) -> Gate:
    due = f"{run.due_at.astimezone(job.zone):%Y-%m-%d %H:%M:%S}"
    if gap is not None:
        text = f"the run before it, due {due}, was not opened ({gap.reason}); fill the gap"
        return blocked("serial", Reason.SERIAL_PREDECESSOR, text)
    if run.status in {TaskStatus.FAILED, TaskStatus.KILLED}:
        assert run.status is not None
        text = f"the run before it, due {due}, is {run.status.name}; retry, force or remove it"
        return blocked("serial", Reason.SERIAL_FAILED, text)
    state = run.status.name if run.status else "not opened yet"
    return blocked("serial", Reason.SERIAL_PREDECESSOR, f"the run before it, due {due}, is {state}")


def _batch_serial_gate(task: Task, job: Job) -> Gate:
    if not job.is_serial:
        return Gate(name="serial")
    before = ledger.batch_predecessor(task)
    if before is None or before.status in {TaskStatus.SUCCESS, TaskStatus.REMOVED}:
        return Gate(name="serial")
    run = ExpectedRun(before.due_at, TaskStatus(before.status), before.reason)
    return _held_by(run, None, job)


# -- what holds a READY task ---------------------------------------------------------------------


def starting_gates(task: Task, *, is_paused: bool, now: datetime) -> Iterator[Gate]:
    """Yield the gates a READY task passes as it starts, in the order of explain (D-70).

    ``task`` comes with its job, app and worker group; ``is_paused``: the whole system is. Whoever
    claims holds the locks of what is counted: a serial job's, and an app's that has a limit.
    """
    yield job_status_gate(task.job, is_asked=task.is_asked)
    yield overlap_gate(task)
    yield expiry_gate(task, now=now)
    yield system_gate(is_paused=is_paused)
    yield app_gate(task.job)
    yield group_gate(task)


def first_blocking(gates: Iterator[Gate]) -> Gate | None:
    return next((gate for gate in gates if gate.is_blocking), None)


def job_status_gate(job: Job, *, is_asked: bool) -> Gate:
    """What an operator asked for runs in any job that is not TRASHED (D-56)."""
    status = JobStatus(job.status)
    if status is JobStatus.TRASHED:
        return blocked("job_status", Reason.JOB_TRASHED, "the job is TRASHED")
    if status is JobStatus.PAUSED and not is_asked:
        return blocked("job_status", Reason.JOB_PAUSED, "the job is PAUSED; resume it")
    if status is JobStatus.DISABLED and not is_asked:
        return blocked("job_status", Reason.JOB_DISABLED, "the job is DISABLED; enable it")
    return Gate(name="job_status")


def overlap_gate(task: Task) -> Gate:
    """Runs of one serial job never overlap, whatever their kind (D-40)."""
    if not task.job.is_serial:
        return Gate(name="serial")
    running = ledger.running_of_job(task.job_id).exclude(pk=task.pk).first()
    if running is None:
        return Gate(name="serial")
    return blocked("serial", Reason.SERIAL_OVERLAP, f"task {running.pk} of the job is running")


def expiry_gate(task: Task, *, now: datetime) -> Gate:
    if task.expires_at is None or task.attempt_count or now < task.expires_at:
        return Gate(name="expiry")
    return blocked("expiry", Reason.EXPIRED, "it is too late to start; retry it by hand")


def system_gate(*, is_paused: bool) -> Gate:
    if not is_paused:
        return Gate(name="system")
    return blocked("system", Reason.SYSTEM_PAUSED, "the whole system is paused; resume it")


def app_gate(job: Job) -> Gate:
    """The app's limit, counted from rows (D-80)."""
    app = job.app
    if not app.is_enabled:
        return blocked("app_limit", Reason.APP_DISABLED, f"the app {app.name} is disabled")
    if app.max_concurrency and ledger.running_of_app(app.pk) >= app.max_concurrency:
        text = f"the app {app.name} runs its {app.max_concurrency} tasks at once already"
        return blocked("app_limit", Reason.APP_LIMIT, text)
    return Gate(name="app_limit")


def group_gate(task: Task) -> Gate:
    group = task.worker_group
    if group.is_enabled:
        return Gate(name="workers")
    return blocked("workers", Reason.GROUP_DISABLED, f"the worker group {group.name} is disabled")
