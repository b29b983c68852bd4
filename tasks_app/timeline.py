"""Timeline: the ordered facts of a task, from its columns, its attempts and its notes (D-74)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

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
    ENDED = "ended"
    RETRY = "retry"


_ORDER = {what: place for place, what in enumerate(What)}
#: What notes are called, and which fact each tells.
_NOTES = {
    "verdict": What.WAITS,
    "kill": What.KILL,
    "force": What.FORCE,
    "remove": What.REMOVE,
    "retry": What.RETRY,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Something that happened to a task; ``attempt``: its number, ``user``: who did it."""

    at: datetime
    what: What
    text: str
    attempt: int | None = None
    reason: str = ""
    user: str = ""


def timeline(task: Task) -> list[Fact]:
    """Return what happened to ``task`` so far, the first fact first.

    A ring is a fact until it is answered: the claim that answers it follows.
    """
    facts = [*_of_task(task), *_of_attempts(task), *_of_notes(task)]
    return sorted(facts, key=lambda fact: (fact.at, _ORDER[fact.what]))


def _of_task(task: Task) -> Iterator[Fact]:
    yield Fact(at=task.opened_at, what=What.OPENED, text=_opening(task), user=_opener(task))
    if task.released_at is not None:
        yield Fact(at=task.released_at, what=What.RELEASED, text="nothing held it any more")
    if task.rung_at is not None:
        times = f" for the {task.ring_count}. time" if task.ring_count > 1 else ""
        group = task.worker_group.name
        yield Fact(at=task.rung_at, what=What.RUNG, text=f"offered to the group {group}{times}")
    if task.ended_at is not None:
        status = TaskStatus(task.status).name
        text = f"{status}: {task.reason_text}" if task.reason_text else status
        yield Fact(at=task.ended_at, what=What.ENDED, text=text, reason=task.reason)


def _opening(task: Task) -> str:
    if task.opened_by_expression is not None:
        return f"by the expression {task.opened_by_expression.text}"
    if task.named_by is not None:
        upstream = task.named_by
        return f"named by task {upstream.pk} of job {upstream.job_id}, due {_shown(upstream, task)}"
    if task.batch_id is not None:
        return f"by the rerun {task.batch_id}"
    return f"as a {task.kind} task"


def _opener(task: Task) -> str:
    """Return who asked for it; a retry since then has put its own user into the column."""
    if task.opened_by_expression_id is not None or task.named_by_id is not None:
        return ""
    is_retried = any(note.fact == "retry" for note in task.notes.all())
    if task.batch is not None:
        return task.batch.user
    return "" if is_retried else task.execute_user


def _shown(upstream: Task, task: Task) -> str:
    return f"{upstream.due_at.astimezone(task.job.zone):%Y-%m-%d %H:%M:%S}"


def _of_attempts(task: Task) -> Iterator[Fact]:
    for attempt in task.attempts.order_by("number"):
        number = attempt.number
        text = f"by the worker {attempt.worker}"
        yield Fact(at=attempt.claimed_at, what=What.CLAIMED, text=text, attempt=number)
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
            )


def _ending(attempt: Attempt) -> str:
    status = AttemptStatus(attempt.status).name
    code = "" if attempt.exit_code is None else f", exit code {attempt.exit_code}"
    return f"{status}{code}" + (f": {attempt.reason_text}" if attempt.reason_text else "")


def _of_notes(task: Task) -> Iterator[Fact]:
    for note in task.notes.order_by("pk"):
        yield Fact(
            at=note.at,
            what=_NOTES[note.fact],
            text=note.text or _said(note),
            reason=note.reason,
            user=note.user,
        )


def _said(note: TaskNote) -> str:
    return f"{note.fact} asked for by {note.user}" if note.user else note.fact
