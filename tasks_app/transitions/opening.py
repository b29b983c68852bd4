"""Opening and release: how a task comes to be, waits, and goes (D-21, D-36)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from django.db.models import F, QuerySet

from jobs.models import Job
from sentinel_project import prepared
from tasks_app.models import MAX_RELEASED_BY, Event, Task, TaskNote
from tasks_app.rules.states import FINAL, UNSTARTED, Reason, TaskStatus
from tasks_app.transitions import moves
from tasks_app.transitions.values import Opening

_UNSTARTED = [status.value for status in UNSTARTED]


def open_tasks(openings: Iterable[Opening], *, now: datetime) -> None:
    """Open one task per opening, in order of (due, job). A slot that has its task stays as it is.

    The unique constraints decide (D-21), so any number of schedulers may open the same slots.
    """
    ordered = sorted(openings, key=lambda o: (o.due_at, o.job.pk))
    Task.objects.bulk_create([_task(o, now) for o in ordered], ignore_conflicts=True)
    for o in ordered:
        if o.status in FINAL:
            task = Task.objects.get(job=o.job, due_at=o.due_at, kind=o.kind.value)
            moves.leave_event(task, now)


def open_task(opening: Opening, *, now: datetime) -> Task:
    """Open one task and return it; a conflict raises IntegrityError."""
    task = _task(opening, now)
    task.save(force_insert=True)
    return task


def _task(o: Opening, now: datetime) -> Task:
    is_ready = o.status is TaskStatus.READY
    return Task(
        job=o.job,
        kind=o.kind.value,
        batch_id=o.batch_id,
        due_at=o.due_at,
        data_at=o.due_at,
        status=o.status.value,
        reason=o.reason,
        reason_text=o.reason_text,
        opened_at=now,
        released_at=now if is_ready else None,
        ready_at=now if is_ready else None,
        ended_at=now if o.status in FINAL else None,
        expires_at=o.expires_at,
        is_asked=o.is_asked,
        execute_user=o.user,
        worker_group_id=cast(int, o.job.worker_group_id),
        priority=o.job.priority,
        opened_by_expression_id=o.expression_id,
        opened_by=o.expression,
        named_by_id=o.named_by_id,
        extra=o.extra,
    )


@moves.atomic
def release(task: Task, *, by: str = "", now: datetime) -> bool:
    """WAITING to READY: nothing is missing any more, and ``by`` says what changed that."""
    stamps: dict[str, Any] = {"reason": "", "reason_text": "", "released_at": now, "ready_at": now}
    stamps["released_by"] = by[:MAX_RELEASED_BY]
    moved = moves.move(task.pk, {TaskStatus.WAITING}, TaskStatus.READY, **stamps)
    if moved:
        moves.announce(task, TaskStatus.READY, now)
    return moved


@moves.atomic
def wait(task: Task, reason: Reason, text: str, *, gate: str, now: datetime) -> None:
    """Keep an unstarted task's reason; written, and noted, only when the verdict changes."""
    if (task.reason, task.reason_text) == (reason, text):
        return
    where = {"pk": task.pk, "status__in": _UNSTARTED}
    if prepared.write(Task, where, {"reason": reason.value, "reason_text": text}):
        moves.note(task.pk, "verdict", now, gate=gate, reason=reason.value, text=text)
        task.reason, task.reason_text = reason.value, text


@moves.atomic
def wait_together(
    tasks: Sequence[Task], reason: Reason, text: str, *, gate: str, now: datetime
) -> None:
    """As ``wait``, for many tasks that wait for the same; those just rung or started are left."""
    changed = [task.pk for task in tasks if (task.reason, task.reason_text) != (reason, text)]
    standing = _unstarted(changed)
    prepared.write(Task, {"pk__in": standing}, {"reason": reason.value, "reason_text": text})
    words = {"fact": "verdict", "at": now, "gate": gate, "reason": reason.value, "text": text}
    TaskNote.objects.bulk_create(TaskNote(task_id=task_id, **words) for task_id in standing)


@prepared.select
def _unstarted(task_ids: Sequence[int]) -> QuerySet[Task, int]:
    rows = Task.objects.select_for_update(skip_locked=True, no_key=True)
    rows = rows.filter(pk__in=task_ids, status__in=_UNSTARTED, rung_at__isnull=True).order_by("pk")
    return rows.values_list("pk", flat=True)


def leave_event(job: Job, *, not_before: datetime | None = None, now: datetime) -> Event:
    """Have a job that changed and its dependents looked at again (D-37)."""
    return Event.objects.create(job=job, not_before=not_before, created_at=now)


def stop_expiry(task: Task) -> None:
    """From now on the task never expires (D-24: only its predecessor holds it)."""
    Task.objects.filter(pk=task.pk).update(expires_at=None)
    task.expires_at = None


@moves.atomic
def expire(task: Task, *, now: datetime) -> bool:
    """WAITING or READY without an attempt to FAILED ``EXPIRED`` (D-24)."""
    text = f"not started within {task.job.expire_after.total_seconds():.0f} s of its due time"
    guard = {"attempt_count": 0, "expires_at__lte": now}
    return moves.end(
        task, TaskStatus.FAILED, Reason.EXPIRED, text, now, sources=UNSTARTED, guard=guard
    )


def ring(
    task_ids: Sequence[int], *, unanswered: Mapping[int, datetime] | None = None, now: datetime
) -> None:
    """Stamp READY tasks as rung; the publish follows the commit (X-4).

    Nothing but the queue holds them now, so their reasons go. ``unanswered``: when those were
    rung that are rung again, which is noted.
    """
    rows = Task.objects.filter(pk__in=task_ids, status=TaskStatus.READY.value)
    rows.update(rung_at=now, ring_count=F("ring_count") + 1, reason="", reason_text="")
    _note_rings(unanswered or {})


def unring(tasks: QuerySet[Task]) -> None:
    """Take back the rings of tasks whose worker group changed; each of them is noted."""
    rung = tasks.filter(rung_at__isnull=False).values_list("pk", "rung_at")
    _note_rings({task_id: at for task_id, at in rung if at is not None})
    tasks.update(**moves.NOT_RUNG)


def _note_rings(rings: Mapping[int, datetime]) -> None:
    if rings:
        notes = (TaskNote(task_id=pk, at=at, fact="rung") for pk, at in rings.items())
        TaskNote.objects.bulk_create(notes)
