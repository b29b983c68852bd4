"""Explain: the ordered gates of a run, each passed, blocking or not reached (D-70).

The gates are those the planner and the workers ask; nothing here decides anything. A run can be
explained before it has a task, by its job and due time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from jobs import history, selectors
from jobs.expected import Expectations, closed
from jobs.facts import Facts, Upstream
from jobs.models import Job
from jobs.outlook import first_runs
from tasks_app import gates, hindsight, slot_gates, standing, workers
from tasks_app.gates import Gate, GateState, blocked
from tasks_app.hindsight import MAX_SHOWN, refuse_instant
from tasks_app.models import Task
from tasks_app.rules.states import FINAL, Reason, TaskKind, TaskStatus

__all__ = ["explain", "refuse_instant", "shown"]


def explain(
    job: Job, due_at: datetime, task: Task | None, *, now: datetime, at: datetime | None = None
) -> list[Gate]:
    """Return the gates in order, each with since when it is so; ``at``: as they were then.

    Those behind a blocking one are not reached; dependencies are judged side by side, so all that
    block are told at once.
    """
    if at is not None and at < now:
        return hindsight.explain_at(job, due_at, task, at=at)
    answers = _answers(job, due_at, task, now)
    if task is None:
        return answers
    return list(standing.since(answers, standing.standing_of(task, now)))


def _answers(job: Job, due_at: datetime, task: Task | None, now: datetime) -> list[Gate]:
    answers: list[Gate] = []
    is_blocked = False
    for gate in _gates(job, due_at, task, now):
        is_sibling = gate.name.startswith("dependency:") and _only_dependencies_block(answers)
        if is_blocked and not is_sibling:
            answers.append(Gate(name=gate.name, state=GateState.NOT_REACHED))
            continue
        is_blocked = is_blocked or gate.is_blocking
        answers.append(gate)
    return answers


def shown(gate: Gate, names: Mapping[str, str], time: Callable[[datetime], str]) -> dict[str, Any]:
    """Return a gate as JSON values; ``names`` translates the ids of upstream jobs."""
    kind, _, job_id = gate.name.partition(":")
    answer: dict[str, Any] = {
        "gate": f"{kind}:{names.get(job_id, job_id)}" if job_id else kind,
        "state": gate.state.value,
        "reason": gate.reason.value if gate.reason else None,
        "text": gate.text,
    }
    if gate.window is not None:
        answer["window"] = [time(gate.window.start), time(gate.window.end)]
        answer["expected"] = [
            {"due": time(run.due_at), "status": run.status.name if run.status else None}
            for run in gate.expected or ()
        ]
    return answer


def _only_dependencies_block(answers: list[Gate]) -> bool:
    return all(a.name.startswith("dependency:") for a in answers if a.is_blocking)


def _gates(job: Job, due_at: datetime, task: Task | None, now: datetime) -> Iterator[Gate]:
    expectations = Expectations()
    yield _job_status(job, task, now)
    yield _active_window(job, due_at, task)
    yield _slot(job, due_at, task, expectations, now)
    yield _opened(job, due_at, task, now)
    yield from _dependencies(job, due_at, task, expectations, now)
    yield _serial(job, due_at, task, expectations, now)
    if task is None or task.status in FINAL or task.status == TaskStatus.RUNNING:
        yield from _ended(task)
        return
    yield gates.expiry_gate(task, now=now)
    yield hindsight.system_gate(now)
    yield gates.app_gate(job)
    yield _workers(task, now)
    yield _dispatched(task, now)
    yield blocked("claimed", Reason.QUEUED, "no worker has taken it yet")


def _job_status(job: Job, task: Task | None, now: datetime) -> Gate:
    if task is not None and (task.status in FINAL or task.status == TaskStatus.RUNNING):
        return Gate(name="job_status")
    gate = gates.job_status_gate(job, is_asked=task is not None and task.is_asked)
    is_new = task is None or gate.is_blocking
    return replace(gate, since=history.status_since(job, now)) if is_new else gate


def _active_window(job: Job, due_at: datetime, task: Task | None) -> Gate:
    return slot_gates.window_gate(job, due_at) if task is None else Gate(name="active_window")


def _slot(
    job: Job, due_at: datetime, task: Task | None, expectations: Expectations, now: datetime
) -> Gate:
    if task is not None:
        return Gate(name="slot")
    return slot_gates.slot_gate(job, due_at, expectations, now=now)


def _opened(job: Job, due_at: datetime, task: Task | None, now: datetime) -> Gate:
    if task is not None:
        return Gate(name="opened", text=f"opened at {task.opened_at:%Y-%m-%d %H:%M:%S} UTC")
    return slot_gates.opened_gate(job, due_at, hindsight.system_gate(now), now=now)


def _dependencies(
    job: Job, due_at: datetime, task: Task | None, expectations: Expectations, now: datetime
) -> Iterator[Gate]:
    facts = expectations.facts(job.pk)
    if task is not None and task.kind in {TaskKind.RERUN, TaskKind.MANUAL}:
        held = gates.holding_gates(task, expectations, now=now)
        judged = [gate for gate in held if gate.name != "serial"]
    else:
        judged = [
            _listed(facts, upstream, due_at, expectations, now)
            for upstream in expectations.counting(facts)
        ]
    is_released = task is not None and task.status != TaskStatus.WAITING
    for gate in judged:
        yield replace(gate, state=GateState.PASSED, reason=None) if is_released else gate


def _listed(
    facts: Facts, upstream: Upstream, due_at: datetime, expectations: Expectations, now: datetime
) -> Gate:
    """Return a dependency's gate with the first of the runs that its window holds."""
    gate = gates.dependency_gate(facts, upstream, due_at, expectations, now=now)
    assert gate.window is not None
    runs, has_more = first_runs(expectations, upstream.job_id, gate.window, MAX_SHOWN)
    source = expectations.facts(upstream.job_id).job
    shown = closed(runs) if selectors.is_closed_to(facts.job, source) else runs
    return replace(gate, expected=tuple(shown), has_more=has_more)


def _serial(
    job: Job, due_at: datetime, task: Task | None, expectations: Expectations, now: datetime
) -> Gate:
    if task is None or (task.kind == TaskKind.SCHEDULE and task.status == TaskStatus.WAITING):
        gate = gates.serial_gate(job, due_at, expectations)
        never = " It does not expire meanwhile." if task and task.expires_at is None else ""
        return replace(gate, text=gate.text + never) if gate.is_blocking else gate
    if task.status == TaskStatus.READY:
        return gates.overlap_gate(task)
    if task.status == TaskStatus.WAITING:
        held = gates.holding_gates(task, expectations, now=now)
        return next((gate for gate in held if gate.name == "serial"), Gate(name="serial"))
    return Gate(name="serial")


def _workers(task: Task, now: datetime) -> Gate:
    gate = gates.group_gate(task)
    if gate.is_blocking or workers.live_slots(now).get(task.worker_group_id):
        return gate
    text = f"no live worker serves the group {task.worker_group.name}; start one"
    return blocked("workers", Reason.NO_WORKER, text)


def _dispatched(task: Task, now: datetime) -> Gate:
    if task.ready_at is not None and task.ready_at > now:
        text = f"it waits out its retry interval until {task.ready_at:%Y-%m-%d %H:%M:%S} UTC"
        return blocked("dispatched", Reason.RETRY_WAIT, text)
    if task.rung_at is None:
        return blocked("dispatched", Reason.QUEUED, "it queues for a free slot of its group")
    return Gate(name="dispatched", text=f"rung at {task.rung_at:%Y-%m-%d %H:%M:%S} UTC")


def _ended(task: Task | None) -> Iterator[Gate]:
    """Yield the gates behind the ledger's for a run that has none of them left to pass."""
    names = ("expiry", "system", "app_limit", "workers", "dispatched", "claimed")
    last = "expiry" if task is not None and task.reason == Reason.EXPIRED else "claimed"
    for name in names:
        never_ran = task is not None and not task.attempt_count and name == last
        if task is not None and never_ran:
            reason = Reason(task.reason) if task.reason else None
            yield Gate(name=name, state=GateState.BLOCKING, reason=reason, text=task.reason_text)
        else:
            yield Gate(name=name)
