"""Hindsight: the gates of a run as they were at an earlier instant (D-70).

What the planner and the claims found then is in the notes, so it is read and not judged again: the
rows that they judged have moved on. Only what a gate shows beside its verdict, the window and its
runs, is put together anew, from the timelines of the runs.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from jobs import history, selectors
from jobs.expected import Expectations, ExpectedRun, closed
from jobs.facts import Upstream
from jobs.models import AuditEntry, Job
from jobs.outlook import first_runs
from jobs.rules.offsets import window
from sentinel_project.errors import InvalidParameters
from tasks_app import gates, slot_gates, standing
from tasks_app.gates import Gate, GateState, blocked
from tasks_app.models import SystemState, Task
from tasks_app.rules.states import FINAL, Reason, TaskKind, TaskStatus
from tasks_app.standing import Standing

#: Runs listed of one window, and looked up as they were for one answer.
MAX_SHOWN = 200
_MAX_LOOKED_UP = 400
#: The gates behind the dependencies, in order.
BEHIND = ("serial", "expiry", "system", "app_limit", "workers", "dispatched", "claimed")


def refuse_instant(at: datetime | None, job: Job, task: Task | None, *, now: datetime) -> None:
    """Refuse an instant that has not come, or at which there was nothing to explain yet.

    ``task``: one that was asked for by its id.
    """
    if at is None:
        return
    if at > now:
        raise InvalidParameters("at: it lies in the future; ask about now or an earlier instant")
    if at < job.created_at:
        raise InvalidParameters(f"at: job {job.pk} was submitted later, {_utc(job.created_at)}")
    if task is not None and at < task.opened_at:
        raise InvalidParameters(f"at: task {task.pk} was opened later, {_utc(task.opened_at)}")


def explain_at(job: Job, due_at: datetime, task: Task | None, *, at: datetime) -> list[Gate]:
    """Return the gates of a run in order, as they were at ``at``."""
    then = history.job_at(job, at)
    if task is None or task.opened_at > at:
        return _before_it_was_open(then, due_at, at)
    stood = standing.standing_of(task, at)
    blocking = _blocking(then, task, stood, at)
    return list(standing.since(_in_order(then, task, blocking, at), stood))


def _utc(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


# -- a task that was open --------------------------------------------------------------------------


def _in_order(job: Job, task: Task, blocking: Gate | None, at: datetime) -> Iterator[Gate]:
    """Yield all gates: what comes before the blocking one is passed, what is behind not reached."""
    shown = {gate.name: gate for gate in _dependencies(job, task, at)}
    if blocking is not None and blocking.name.startswith("dependency:"):
        shown.setdefault(blocking.name, blocking)
    state = GateState.PASSED
    for name in ("job_status", "active_window", "slot", "opened", *shown, *BEHIND):
        gate = shown.get(name, Gate(name=name))
        if blocking is not None and blocking.name == name:
            yield replace(
                blocking, window=gate.window, expected=gate.expected, has_more=gate.has_more
            )
            state = GateState.NOT_REACHED
        else:
            yield replace(gate, state=state)


def _blocking(job: Job, task: Task, stood: Standing, at: datetime) -> Gate | None:
    """Return what held the task: a job's status at once, else what was found and noted."""
    if stood.was is TaskStatus.RUNNING:
        return None
    if stood.was in FINAL:
        return _never_ran(stood)
    by_status = gates.job_status_gate(job, is_asked=_was_asked(task, stood))
    if by_status.is_blocking:
        return replace(by_status, since=history.status_since(job, at))
    if stood.verdict is not None:
        reason = Reason(stood.verdict.reason)
        return blocked(stood.verdict.gate or "opened", reason, stood.verdict.text)
    if stood.was is TaskStatus.WAITING:
        text = "the planner had not looked at it yet"
        return Gate(name="opened", state=GateState.BLOCKING, text=text)
    return _on_its_way(stood, at)


def _was_asked(task: Task, stood: Standing) -> bool:
    """Tell whether an operator had asked for it: by its kind, or by a retry before then."""
    return task.kind in {TaskKind.RERUN, TaskKind.MANUAL} or stood.is_retried


def _never_ran(stood: Standing) -> Gate | None:
    if stood.attempts or stood.end is None:
        return None
    name = "expiry" if stood.end.reason == Reason.EXPIRED else "claimed"
    reason = Reason(stood.end.reason) if stood.end.reason else None
    return Gate(name=name, state=GateState.BLOCKING, reason=reason, text=stood.end.text)


def _on_its_way(stood: Standing, at: datetime) -> Gate:
    """Return what a READY task waited for that nothing was noted about."""
    system = system_gate(at)
    if system.is_blocking:
        return system
    wait = stood.retry_wait
    if wait is not None and (wait.until is None or at < wait.until):
        return blocked("dispatched", Reason.RETRY_WAIT, f"it waited for its next try {wait.text}")
    if stood.rung_at is None:
        return blocked("dispatched", Reason.QUEUED, "it queued for a free slot of its group")
    return blocked("claimed", Reason.QUEUED, "no worker had taken it yet")


def system_gate(at: datetime) -> Gate:
    """Tell whether the whole system was paused then, and since when."""
    state = SystemState.objects.get(pk=1)
    rows = AuditEntry.objects.filter(object_type="systemstate", object_id=state.pk)
    later = rows.filter(at__gt=at).order_by("at", "pk").first()
    if later is not None:
        is_paused = not (later.after or {}).get("is_paused")
    else:
        is_paused = state.is_paused and (state.changed_at is None or state.changed_at <= at)
    last = rows.filter(at__lte=at).order_by("-at", "-pk").first()
    since = state.changed_at if last is None else last.at
    return replace(gates.system_gate(is_paused=is_paused), since=since if is_paused else None)


# -- what a dependency looked at -------------------------------------------------------------------


def _dependencies(job: Job, task: Task, at: datetime) -> Iterator[Gate]:
    """Yield the gates of the dependencies of then, with windows and runs as they were."""
    if task.kind in {TaskKind.RERUN, TaskKind.MANUAL}:
        return
    expectations = Expectations(is_reading=True)
    left = _MAX_LOOKED_UP
    for upstream in history.dependencies_at(job, at):
        source = history.job_at(expectations.facts(upstream.job_id).job, at)
        if replace(expectations.facts(upstream.job_id), job=source).counts:
            span = window(upstream.offset, task.due_at, job.zone)
            expected, has_more = first_runs(expectations, upstream.job_id, span, MAX_SHOWN)
            runs = list(_as_of(expected[:left], upstream, at))
            left -= len(runs)
            yield Gate(
                name=f"dependency:{upstream.job_id}",
                window=span,
                expected=tuple(closed(runs) if selectors.is_closed_to(job, source) else runs),
                has_more=has_more or len(runs) < len(expected),
            )


def _as_of(runs: Sequence[ExpectedRun], upstream: Upstream, at: datetime) -> Iterator[ExpectedRun]:
    """Yield runs, each with its status of then."""
    kinds = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]
    rows = Task.objects.filter(job_id=upstream.job_id, kind__in=kinds)
    rows = rows.filter(due_at__in=[run.due_at for run in runs]).select_related("job")
    tasks = {task.due_at: task for task in rows.select_related("worker_group", "batch")}
    for run in runs:
        task = tasks.get(run.due_at)
        if task is None or task.opened_at > at:
            yield ExpectedRun(run.due_at)
        elif task.ended_at is not None and task.ended_at <= at:
            yield run
        else:
            yield ExpectedRun(run.due_at, standing.standing_of(task, at).was)


# -- a due time without a task -------------------------------------------------------------------


def _before_it_was_open(job: Job, due_at: datetime, at: datetime) -> list[Gate]:
    answers: list[Gate] = []
    for gate in _gates_of_a_due_time(job, due_at, at):
        is_behind = any(answer.is_blocking for answer in answers)
        answers.append(Gate(name=gate.name, state=GateState.NOT_REACHED) if is_behind else gate)
    links = (f"dependency:{up.job_id}" for up in history.dependencies_at(job, at))
    behind = [Gate(name=name, state=GateState.NOT_REACHED) for name in (*links, *BEHIND)]
    return [*answers, *behind]


def _gates_of_a_due_time(job: Job, due_at: datetime, at: datetime) -> Iterator[Gate]:
    since = history.status_since(job, at)
    yield replace(gates.job_status_gate(job, is_asked=False), since=since)
    yield slot_gates.window_gate(job, due_at)
    yield _slot(job, due_at, at)
    yield slot_gates.opened_gate(job, due_at, system_gate(at), now=at)


def _slot(job: Job, due_at: datetime, at: datetime) -> Gate:
    gate = slot_gates.slot_gate(job, due_at, Expectations(), now=at)
    if gate.reason is Reason.IN_A_GAP or not history.has_other_schedule_since(job, at):
        return gate
    said = f"{gate.text}; " if gate.text else ""
    return replace(gate, text=f"{said}judged by today's schedule: it was edited since")
