"""Standing: how a task stood at an instant, told from its timeline up to then (D-70, D-74)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from tasks_app.gates import Gate, GateState
from tasks_app.models import Task
from tasks_app.rules.states import TaskStatus
from tasks_app.timeline import Fact, What, timeline

#: Facts behind which nothing that was noted before holds the task any more.
_CLEARING = {What.RELEASED, What.RUNG, What.CLAIMED, What.RETRY_WAIT, What.ENDED, What.RETRY}


@dataclass(slots=True)
class Standing:
    """A task as its history up to an instant tells it."""

    opened_at: datetime
    #: Its status, and since when it has had it.
    was: TaskStatus = TaskStatus.WAITING
    since: datetime | None = None
    #: The verdict that holds it, and since when its gate has; None: nothing was noted.
    verdict: Fact | None = None
    held_since: datetime | None = None
    #: When each gate that once held it let go.
    let_go: dict[str, datetime] = field(default_factory=dict)
    ready_at: datetime | None = None
    rung_at: datetime | None = None
    claimed_at: datetime | None = None
    retry_wait: Fact | None = None
    end: Fact | None = None
    attempts: int = 0
    is_retried: bool = False


def standing_of(task: Task, at: datetime) -> Standing:
    """Return how ``task``, which was open by then, stood at ``at``."""
    # A clock that was set back may lie before the opening.
    return fold(f for f in timeline(task) if f.at <= at or f.what is What.OPENED)


def fold(facts: Iterable[Fact]) -> Standing:
    """Take facts one after the other, the opening first."""
    standing: Standing | None = None
    for fact in facts:
        if standing is None:
            standing = Standing(opened_at=fact.at, since=fact.at)
        _take(standing, fact)
    assert standing is not None, "a timeline begins with the opening"
    return standing


def _take(standing: Standing, fact: Fact) -> None:
    if fact.what is What.WAITS:
        _take_verdict(standing, fact)
    elif fact.what in _CLEARING:
        _let_go(standing, fact.at)
    if fact.status is not None:
        _take_status(standing, fact, fact.status)
    match fact.what:
        case What.RUNG:
            standing.rung_at = fact.at
        case What.RETRY:
            standing.is_retried = True
        case What.RETRY_WAIT:
            standing.retry_wait = fact
        case What.CLAIMED:
            standing.claimed_at, standing.attempts = fact.at, fact.attempt or 0
        case _:
            pass


def _take_verdict(standing: Standing, fact: Fact) -> None:
    if standing.verdict is None or standing.verdict.gate != fact.gate:
        _let_go(standing, fact.at)
        standing.held_since = fact.at
    standing.verdict = fact


def _let_go(standing: Standing, at: datetime) -> None:
    if standing.verdict is not None:
        standing.let_go[standing.verdict.gate] = at
    standing.verdict = standing.held_since = None


def _take_status(standing: Standing, fact: Fact, status: TaskStatus) -> None:
    if status is not standing.was:
        standing.since = fact.at
    standing.was = status
    standing.end = fact if fact.what is What.ENDED else None
    if status is TaskStatus.READY:
        standing.ready_at = fact.at
        standing.rung_at = standing.retry_wait = None


# -- since when ------------------------------------------------------------------------------------

#: Gates that a task has behind it as soon as it is open; those of a READY one come later.
_OF_A_DUE_TIME = {"job_status", "active_window", "slot", "opened"}


def since(gates: Iterable[Gate], standing: Standing) -> Iterator[Gate]:
    """Yield the gates, each with the instant since when it is passed, or blocks.

    A gate is passed since the last of those up to it let go; dependencies are judged side by
    side, so of those only its own counts.
    """
    passed = standing.opened_at
    for gate in gates:
        match gate.state:
            case GateState.PASSED:
                own = max(_reached(gate, standing), standing.let_go.get(gate.name, passed))
                is_sibling = gate.name.startswith("dependency:")
                passed = max(passed, own)
                yield replace(gate, since=own if is_sibling else passed)
            case GateState.BLOCKING:
                yield replace(gate, since=gate.since or _blocking_since(gate, standing))
            case GateState.NOT_REACHED:
                yield gate


def _reached(gate: Gate, standing: Standing) -> datetime:
    """Return when a task at the earliest can have passed a gate."""
    opened = standing.opened_at
    if gate.name in _OF_A_DUE_TIME or gate.name.startswith("dependency:"):
        return opened
    match gate.name:
        case "dispatched":
            return standing.rung_at or standing.claimed_at or standing.ready_at or opened
        case "claimed":
            return standing.claimed_at or standing.ready_at or opened
        case "serial":
            return opened
        case _:
            return standing.ready_at or opened


def _blocking_since(gate: Gate, standing: Standing) -> datetime | None:
    if standing.verdict is not None and standing.verdict.gate == gate.name:
        return standing.held_since
    if gate.name == "claimed":
        return standing.rung_at or standing.since
    return standing.since
