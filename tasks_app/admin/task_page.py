"""What the page of a task shows: facts, gates, attempts, history and first output (D-70, D-74)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from jobs.models import Job
from logs_app.models import StreamKind
from sentinel_project import clock
from sentinel_project.admin_base import when
from sentinel_project.errors import InvalidParameters
from tasks_app import explain, selectors
from tasks_app.admin.output import FIRST, Piece, piece_of
from tasks_app.gates import Gate, GateState
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import TaskStatus
from tasks_app.timeline import timeline

_MARKS = {GateState.PASSED: "✓", GateState.BLOCKING: "✗", GateState.NOT_REACHED: "·"}
_MAX_RUNS = 12
_MAX_FACTS = 200
_MAX_ATTEMPTS = 100


@dataclass(frozen=True, slots=True)
class ShownGate:
    """A gate as a line of the page."""

    mark: str
    state: str
    name: str
    text: str
    since: str = ""
    window: str = ""
    runs: str = ""


@dataclass(frozen=True, slots=True)
class Outputs:
    """An attempt and the beginnings of what it printed."""

    attempt: Attempt
    pieces: list[Piece]


def page_of(task: Task, *, can_read: bool, at: str = "") -> dict[str, Any]:
    """Return the parts of the page; output only for those who may view attempts.

    ``at``: the instant, ISO 8601 in UTC, for which the gates are asked; empty: now.
    """
    now = clock.now()
    try:
        then, problem = _instant(at, task, now), ""
    except InvalidParameters as refusal:
        then, problem = None, str(refusal).removeprefix("at: ")
    attempts = selectors.attempts_of(task)[-_MAX_ATTEMPTS:]
    last = attempts[-1] if attempts and can_read else None
    return {
        "status": TaskStatus(task.status).name,
        "facts": _facts(task),
        "gates": gates_of(task, now=now, at=then),
        "at": at,
        "then": None if then is None else when(then),
        "at_problem": problem,
        "attempts": attempts,
        "history": timeline(task)[-_MAX_FACTS:],
        "outputs": _outputs(last) if last else None,
    }


def _instant(text: str, task: Task, now: datetime) -> datetime | None:
    if not text:
        return None
    try:
        at = datetime.fromisoformat(text[:40])
    except ValueError as error:
        raise InvalidParameters("at: it is no time; such as 2026-03-02 09:15:00") from error
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at
    explain.refuse_instant(at, task.job, task, now=now)
    return at


def gates_of(task: Task, *, now: datetime, at: datetime | None = None) -> list[ShownGate]:
    """Return the ordered gates of explain, in words."""
    gates = explain.explain(task.job, task.due_at, task, now=now, at=at)
    ids = [gate.name.partition(":")[2] for gate in gates]
    rows = Job.objects.filter(pk__in=[int(job_id) for job_id in ids if job_id])
    names = dict(rows.values_list("pk", "name"))
    return [_gate(gate, task, names) for gate in gates]


def _gate(gate: Gate, task: Task, names: dict[int, str]) -> ShownGate:
    kind, _, job_id = gate.name.partition(":")
    name = f"{kind}: {names.get(int(job_id), job_id)}" if job_id else kind.replace("_", " ")
    span = ""
    if gate.window is not None:
        span = f"window {_local(gate.window.start, task)} to {_local(gate.window.end, task)}"
    since = "" if gate.since is None else when(gate.since)
    mark, state = _MARKS[gate.state], gate.state.value
    return ShownGate(mark, state, name, gate.text, since, span, _runs(gate, task))


def _runs(gate: Gate, task: Task) -> str:
    runs = gate.expected or ()
    shown = [
        f"{_local(run.due_at, task)} {run.status.name if run.status else 'no task yet'}"
        for run in runs[:_MAX_RUNS]
    ]
    more = " and more" if gate.has_more or len(runs) > _MAX_RUNS else ""
    return ", ".join(shown) + more


def _local(at: datetime, task: Task) -> str:
    return f"{at.astimezone(task.job.zone):%Y-%m-%d %H:%M:%S}"


def _facts(task: Task) -> list[tuple[str, str]]:
    due = f"{when(task.due_at)} ({_local(task.due_at, task)} {task.job.time_zone})"
    facts = [
        ("kind", f"{task.kind} of batch {task.batch_id}" if task.batch_id else task.kind),
        ("reason", " — ".join(filter(None, [task.reason, task.reason_text]))),
        ("due", due),
        ("data time", "" if task.data_at == task.due_at else when(task.data_at)),
        ("opened", when(task.opened_at)),
        ("opened by", _opened_by(task)),
        ("released", when(task.released_at)),
        ("ready", when(task.ready_at)),
        ("rung", f"{when(task.rung_at)}, {task.ring_count} times" if task.rung_at else ""),
        ("started", when(task.started_at)),
        ("ended", when(task.ended_at)),
        ("expires", when(task.expires_at) if task.expires_at else "never"),
        ("worker group", task.worker_group.name),
        ("priority", str(task.priority)),
        ("asked for by", task.execute_user),
        ("kill requested", f"{when(task.kill_requested_at)} by {task.kill_user}"),
    ]
    hidden = {"kill requested"} if task.kill_requested_at is None else set()
    return [(name, text) for name, text in facts if text not in {"", "-"} and name not in hidden]


def _opened_by(task: Task) -> str:
    if task.opened_by_expression is not None:
        return task.opened_by_expression.text
    return "" if task.named_by_id is None else f"upstream task {task.named_by_id}"


def _outputs(attempt: Attempt) -> Outputs:
    pieces = [piece_of(attempt, kind, offset=0, size=FIRST) for kind in StreamKind]
    return Outputs(attempt, pieces)
