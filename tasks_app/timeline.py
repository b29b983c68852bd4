"""Timeline: the ordered facts of a task, from its columns, its attempts and its notes (D-74).

Nothing is written for it that can be told from a row that is there anyway: an attempt keeps what
its claim found, and a note keeps what a column is about to forget.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest

from tasks_app.models import Attempt, Task, TaskNote
from tasks_app.rules.states import AttemptStatus, TaskStatus


class What(StrEnum):
    """The kinds of facts, in the order in which those of one instant happened."""

    OPENED = "opened"
    WAITS = "waits"
    RELEASED = "released"
    RUNG = "rung"
    CLAIMED = "claimed"
    STARTED = "started"
    KILL = "kill"
    FORCE = "force"
    REMOVE = "remove"
    ATTEMPT_ENDED = "attempt_ended"
    RETRY_WAIT = "retry_wait"
    ENDED = "ended"
    RETRY = "retry"


_ORDER = {what: place for place, what in enumerate(What)}
#: What notes are called, which fact each tells, and the task's status from there on.
_NOTES: dict[str, tuple[What, TaskStatus | None]] = {
    "verdict": (What.WAITS, None),
    "rung": (What.RUNG, None),
    "kill": (What.KILL, None),
    "force": (What.FORCE, None),
    "remove": (What.REMOVE, None),
    "retry_wait": (What.RETRY_WAIT, None),
    "failed": (What.ENDED, TaskStatus.FAILED),
    "killed": (What.ENDED, TaskStatus.KILLED),
    "retry": (What.RETRY, TaskStatus.READY),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened to a task; ``attempt``: its number, ``user``: who did it.

    ``status``: what the task is from here on; None: what it was. ``gate``: of a wait. ``until``:
    when a retry wait was to end, if it did not end otherwise.
    """

    at: datetime
    what: What
    text: str
    attempt: int | None = None
    reason: str = ""
    user: str = ""
    gate: str = ""
    status: TaskStatus | None = None
    until: datetime | None = None


#: Notes and attempts that are told of one task, the newest ones.
MAX_TOLD = 1_000


def timeline(task: Task) -> list[Fact]:
    """Return what happened to ``task`` so far, the first fact first."""
    attempts = list(task.attempts.defer(*Attempt.WHAT_RAN).order_by("-number")[:MAX_TOLD])[::-1]
    notes = list(task.notes.order_by("-pk")[:MAX_TOLD])[::-1]
    facts = [
        *_of_task(task, notes),
        *_of_attempts(task, attempts),
        *_retry_waits(task, attempts, notes),
        *map(_of_note, notes),
    ]
    return sorted(facts, key=lambda fact: (fact.at, _ORDER[fact.what]))


def _of_task(task: Task, notes: Sequence[TaskNote]) -> Iterator[Fact]:
    yield Fact(
        at=task.opened_at,
        what=What.OPENED,
        text=_opening(task),
        user=_opener(task, notes),
        status=TaskStatus.WAITING,
    )
    if task.released_at is not None:
        text = f"by {task.released_by}" if task.released_by else "nothing held it"
        ready = TaskStatus.READY
        yield Fact(at=task.released_at, what=What.RELEASED, text=text, status=ready)
    if task.rung_at is not None:
        yield Fact(at=task.rung_at, what=What.RUNG, text=_ring(task, task.ring_count))
    if task.ended_at is not None:
        status = TaskStatus(task.status)
        text = f"{status.name}: {task.reason_text}" if task.reason_text else status.name
        yield Fact(at=task.ended_at, what=What.ENDED, text=text, reason=task.reason, status=status)


def _opening(task: Task) -> str:
    if task.opened_by or task.opened_by_expression is not None:
        return f"by the expression {task.opened_by or task.opened_by_expression}"
    if task.named_by is not None:
        upstream = task.named_by
        return f"named by task {upstream.pk} of job {upstream.job_id}, due {_shown(upstream, task)}"
    if task.batch_id is not None:
        return f"by the rerun {task.batch_id}"
    return f"as a {task.kind} task"


def _opener(task: Task, notes: Sequence[TaskNote]) -> str:
    """Return who asked for it; a retry since then has put its own user into the column."""
    if task.opened_by_expression_id is not None or task.named_by_id is not None:
        return ""
    is_retried = any(note.fact == "retry" for note in notes)
    if task.batch is not None:
        return task.batch.user
    return "" if is_retried else task.execute_user


def _shown(upstream: Task, task: Task) -> str:
    return f"{upstream.due_at.astimezone(task.job.zone):%Y-%m-%d %H:%M:%S}"


def _ring(task: Task, count: int) -> str:
    times = f" for the {count}. time" if count > 1 else ""
    return f"offered to the group {task.worker_group.name}{times}"


def _of_attempts(task: Task, attempts: Sequence[Attempt]) -> Iterator[Fact]:
    for attempt in attempts:
        number = attempt.number
        if attempt.rung_at is not None:
            text = _ring(task, attempt.ring_count)
            yield Fact(at=attempt.rung_at, what=What.RUNG, text=text, attempt=number)
        yield Fact(
            at=attempt.claimed_at,
            what=What.CLAIMED,
            text=f"by the worker {attempt.worker}",
            attempt=number,
            status=TaskStatus.RUNNING,
        )
        if attempt.started_at is not None:
            text = f"attempt {number}"
            yield Fact(at=attempt.started_at, what=What.STARTED, text=text, attempt=number)
        if attempt.ended_at is not None:
            yield Fact(
                at=attempt.ended_at,
                what=What.ATTEMPT_ENDED,
                text=_ending(attempt),
                attempt=number,
                reason=attempt.reason,
                status=TaskStatus.READY,
            )


def _ending(attempt: Attempt) -> str:
    status = AttemptStatus(attempt.status).name
    code = "" if attempt.exit_code is None else f", exit code {attempt.exit_code}"
    return f"{status}{code}" + (f": {attempt.reason_text}" if attempt.reason_text else "")


def _retry_waits(
    task: Task, attempts: Sequence[Attempt], notes: Sequence[TaskNote]
) -> Iterator[Fact]:
    """Yield the waits for an automatic retry: from an attempt's end to when the next may start."""
    ends = {note.at for note in notes if note.fact in {"failed", "killed", "retry_wait"}}
    ends |= {task.ended_at} if task.ended_at is not None else set()
    for attempt, following in zip_longest(attempts, attempts[1:]):
        until = following.ready_at if following else task.ready_at
        ended = attempt.ended_at
        if ended is None or until is None or until <= ended or ended in ends:
            continue
        yield Fact(
            at=ended,
            what=What.RETRY_WAIT,
            text=f"until {until:%Y-%m-%d %H:%M:%S} UTC",
            attempt=attempt.number,
            reason="RETRY_WAIT",
            until=until,
        )


def _of_note(note: TaskNote) -> Fact:
    what, status = _NOTES[note.fact]
    return Fact(
        at=note.at,
        what=what,
        text=_said(note, status),
        reason=note.reason,
        user=note.user,
        gate=note.gate,
        status=status,
    )


def _said(note: TaskNote, status: TaskStatus | None) -> str:
    if status is not None and note.fact != "retry":
        return f"{status.name}: {note.text}" if note.text else status.name
    if note.fact == "rung":
        return "offered to its group, and nobody answered"
    return note.text or (f"{note.fact} asked for by {note.user}" if note.user else note.fact)
