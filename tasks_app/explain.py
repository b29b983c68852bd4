"""Explain: the ordered gates of a run, each passed, blocking or not reached (D-70).

The gates are those the planner and the workers ask; nothing here decides anything. A run can be
explained before it has a task, by its job and due time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from jobs.expected import Expectations
from jobs.facts import Facts, Upstream
from jobs.models import Job
from jobs.outlook import first_runs
from jobs.rules.enums import GapReason
from jobs.rules.windows import Window
from tasks_app import gates, ledger, workers
from tasks_app.gates import Gate, GateState, blocked
from tasks_app.models import Gap, SkipMark, Task
from tasks_app.rules.states import FINAL, Reason, TaskKind, TaskStatus

#: Runs listed of one window.
MAX_SHOWN = 200


def explain(job: Job, due_at: datetime, task: Task | None, *, now: datetime) -> list[Gate]:
    """Return the gates in order. Those behind a blocking one are not reached; dependencies are
    judged side by side, so all that block are told at once."""
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
    yield _job_status(job, task)
    yield _active_window(job, due_at, task)
    yield _slot(job, due_at, task, expectations)
    yield _opened(job, due_at, task, now)
    yield from _dependencies(job, due_at, task, expectations, now)
    yield _serial(job, due_at, task, expectations, now)
    if task is None or task.status in FINAL or task.status == TaskStatus.RUNNING:
        yield from _ended(task)
        return
    yield gates.expiry_gate(task, now=now)
    yield gates.system_gate(is_paused=ledger.is_system_paused())
    yield gates.app_gate(job)
    yield _workers(task, now)
    yield _dispatched(task, now)
    yield blocked("claimed", Reason.QUEUED, "no worker has taken it yet")


def _job_status(job: Job, task: Task | None) -> Gate:
    if task is not None and (task.status in FINAL or task.status == TaskStatus.RUNNING):
        return Gate(name="job_status")
    return gates.job_status_gate(job, is_asked=task is not None and task.is_asked)


def _active_window(job: Job, due_at: datetime, task: Task | None) -> Gate:
    if task is not None or job.is_active_at(due_at):
        return Gate(name="active_window")
    text = "the due time lies outside activeStartDate and activeEndDate; change them"
    return blocked("active_window", Reason.NOT_A_SLOT, text)


def _slot(job: Job, due_at: datetime, task: Task | None, expectations: Expectations) -> Gate:
    """Tell whether the run is owed at all, and name the gap it lies in if it is not."""
    if task is not None:
        return Gate(name="slot")
    gap = Gap.objects.filter(job=job, from_at__lte=due_at, to_at__gte=due_at).first()
    if gap is not None:
        text = f"it was not opened: {gap.reason} ({_GAPS[GapReason(gap.reason)]}); fill the gap"
        return blocked("slot", Reason.IN_A_GAP, text)
    instant = Window(due_at, due_at + timedelta(microseconds=1))
    if any(run.due_at == due_at for run in expectations.runs(job.pk, instant)):
        return Gate(name="slot")
    text = f"no expression of job {job.pk} yields this due time, or it lies before the job's floor"
    return blocked("slot", Reason.NOT_A_SLOT, text)


_GAPS = {
    GapReason.SKIPPED: "missed, and the misfirePolicy leaves it out",
    GapReason.EDITED: "an edit of the schedule would have run this cycle twice",
    GapReason.NO_UPSTREAM_YET: "its window ends before the upstream began",
    GapReason.EXPIRED: "missed, and too late to start by expiredTime",
    GapReason.CAPPED: "missed, and older than the 100 newest",
}


def _opened(job: Job, due_at: datetime, task: Task | None, now: datetime) -> Gate:
    if task is not None:
        return Gate(name="opened", text=f"opened at {task.opened_at:%Y-%m-%d %H:%M:%S} UTC")
    if SkipMark.objects.filter(job=job, due_at=due_at).exists():
        return blocked("opened", Reason.SKIPPED_BY_USER, "an operator marked it to be skipped")
    if due_at > now:
        return blocked("opened", Reason.NOT_DUE, "its due time has not come yet")
    if ledger.is_system_paused():
        return blocked("opened", Reason.SYSTEM_PAUSED, "the whole system is paused; resume it")
    text = "no scheduler has opened it yet; is a beat alive?"
    return blocked("opened", Reason.NOT_OPENED, text)


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
    return replace(gate, expected=tuple(runs), has_more=has_more)


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
