"""The guarded writes that every verb is made of (X-1)."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from logs_app import store
from sentinel_project import prepared
from sentinel_project.chained import Insert, Step, chained
from tasks_app.models import Attempt, Change, Event, Task, TaskNote
from tasks_app.rules.states import ALLOWED, LIVE, TaskStatus
from tasks_app.transitions.values import Ending

logger = logging.getLogger(__name__)

#: A verb inside its caller's transaction needs no savepoint: it fails or succeeds with it.
atomic = transaction.atomic(savepoint=False)

LIVE_VALUES = [status.value for status in LIVE]
NOT_RUNG: dict[str, Any] = {"rung_at": None, "ring_count": 0}


def end(
    task: Task,
    target: TaskStatus,
    reason: str,
    text: str,
    now: datetime,
    *,
    sources: Collection[TaskStatus] = (TaskStatus.RUNNING,),
    guard: Mapping[str, Any] | None = None,
) -> bool:
    """Make the task final and leave the event of its end."""
    if not chained(*ending(task, target, reason, text, now, sources=sources, guard=guard)):
        return False
    note_end(task, target, now, reason=reason, text=text)
    return True


def ending(
    task: Task,
    target: TaskStatus,
    reason: str,
    text: str,
    now: datetime,
    *,
    sources: Collection[TaskStatus] = (TaskStatus.RUNNING,),
    guard: Mapping[str, Any] | None = None,
) -> list[Step]:
    """Return the steps that make the task final and leave the event of its end."""
    stamps = {"reason": reason, "reason_text": text, "ended_at": now}
    moved = moving(task.pk, sources, target, guard=guard, **stamps)
    return [moved, Insert(Event(job_id=task.job_id, task_id=task.pk, created_at=now))]


def note_end(
    task: Task, target: TaskStatus, now: datetime, *, reason: str = "", text: str = ""
) -> None:
    """Say of a task that it has become final."""
    task.status = target
    note_move(task.pk, target)
    announce(task, target, now, reason=reason, text=text)


def move(
    task_id: int,
    sources: Collection[TaskStatus],
    target: TaskStatus,
    *,
    guard: Mapping[str, Any] | None = None,
    **stamps: Any,
) -> bool:
    moved = prepared.update(moving(task_id, sources, target, guard=guard, **stamps))
    if moved:
        note_move(task_id, target)
    return bool(moved)


def moving(
    task_id: int,
    sources: Collection[TaskStatus],
    target: TaskStatus,
    *,
    guard: Mapping[str, Any] | None = None,
    **stamps: Any,
) -> prepared.Update:
    """Return the guarded write that moves a task along an edge that is listed."""
    assert all(target in ALLOWED[s] or target is s for s in sources), (sources, target)
    where = {"pk": task_id, "status__in": [s.value for s in sources], **(guard or {})}
    return prepared.Update(Task, where, {"status": target.value, **stamps})


def note_move(task_id: int, target: TaskStatus) -> None:
    logger.info("task.%s", target.name.lower(), extra={"task_id": task_id})


def close(attempt: Attempt, ending: Ending, now: datetime) -> bool:
    """End a live attempt and seal what it printed. False: it is not live any more."""
    return bool(chained(*closing(attempt, ending, now)))


def closing(attempt: Attempt, ending: Ending, now: datetime) -> list[Step]:
    """Return the steps that end a live attempt and seal what it printed."""
    closed = prepared.Update(
        Attempt,
        {"pk": attempt.pk, "status__in": LIVE_VALUES},
        {
            "status": ending.status.value,
            "ended_at": now,
            "exit_code": ending.exit_code,
            "reason": ending.reason,
            "reason_text": ending.text,
        },
    )
    return [closed, store.closing(attempt.pk, fence=attempt.fence, now=now)]


def task_of(attempt: Attempt) -> Task:
    """Read the task as it is now, locked, so that a kill request is not overlooked."""
    (task,) = _locked(attempt.task_id)
    return task


def lock(task: Task) -> Task:
    """Keep the task as it is until the transaction ends, for a verb that is two writes."""
    (row,) = _locked(task.pk)
    return row


@prepared.select
def _locked(task_id: int) -> QuerySet[Task]:
    rows = Task.objects.select_for_update(of=("self",), no_key=True).select_related("job")
    return rows.filter(pk=task_id)


def leave_event(task: Task, now: datetime) -> None:
    prepared.insert(Event(job_id=task.job_id, task_id=task.pk, created_at=now))


def announce(
    task: Task, target: TaskStatus, now: datetime, *, reason: str = "", text: str = ""
) -> None:
    """Leave a change for whoever wants to be told, if anybody does (D-84)."""
    if task.job.callback_url or task.job.has_alarms:
        Change.objects.create(
            job_id=task.job_id,
            task_id=task.pk,
            to_status=target.value,
            attempt_number=task.attempt_count,
            reason=reason,
            reason_text=text,
            at=now,
        )


def note(task_id: int, fact: str, now: datetime, **words: str) -> None:
    """Note a fact; ``words``: reason, text, user, and the gate of a verdict."""
    TaskNote.objects.create(task_id=task_id, at=now, fact=fact, **words)
