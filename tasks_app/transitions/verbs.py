"""Operators' verbs on a task: kill, remove, retry, force (1-domain.md 5)."""

from __future__ import annotations

from datetime import datetime

from django.db.models import F
from django.db.models.functions import Coalesce

from tasks_app.models import MAX_RELEASED_BY, Attempt, Task, TaskNote
from tasks_app.rules.states import ALLOWED, UNSTARTED, AttemptStatus, Reason, TaskStatus
from tasks_app.transitions import moves
from tasks_app.transitions.values import Ending


@moves.atomic
def kill(task: Task, *, user: str, now: datetime) -> bool:
    """WAITING or READY to KILLED at once; a RUNNING task is asked to stop (D-53)."""
    text = f"killed by {user}"
    moves.lock(task)
    is_over = moves.end(
        task, TaskStatus.KILLED, Reason.KILLED_BY_USER, text, now, sources=UNSTARTED
    )
    if not is_over and not _request_kill(task, user, now):
        return False
    moves.note(task.pk, "kill", now, user=user)
    return True


@moves.atomic
def remove(
    task: Task, *, user: str, now: datetime, reason: Reason = Reason.REMOVED_BY_USER, text: str = ""
) -> bool:
    """WAITING, READY, FAILED or KILLED to REMOVED; a RUNNING task is killed first (D-54)."""
    sources = UNSTARTED | {TaskStatus.FAILED, TaskStatus.KILLED}
    text = text or f"removed by {user}"
    row = moves.lock(task)
    is_over = moves.end(task, TaskStatus.REMOVED, reason, text, now, sources=sources)
    if is_over:
        _note_end(row)
    if not is_over and not _request_kill(task, user, now, removes_after_kill=True):
        return False
    moves.note(task.pk, "remove", now, user=user, reason=reason.value, text=text)
    return True


@moves.atomic
def retry(task: Task, *, user: str, now: datetime) -> bool:
    """FAILED or KILLED to READY on an operator's word, with a fresh budget (D-50)."""
    row = moves.lock(task)
    moved = moves.move(
        task.pk,
        {TaskStatus.FAILED, TaskStatus.KILLED},
        TaskStatus.READY,
        ready_at=now,
        released_at=row.released_at or now,
        released_by=row.released_by
        if row.released_at
        else f"the retry by {user}"[:MAX_RELEASED_BY],
        ended_at=None,
        expires_at=None,
        is_asked=True,
        execute_user=user,
        tries_used=0,
        free_requeues=0,
        reason="",
        reason_text="",
        kill_requested_at=None,
        kill_user="",
        removes_after_kill=False,
        **moves.NOT_RUNG,
    )
    if moved:
        _note_end(row)
        moves.note(task.pk, "retry", now, user=user)
        moves.announce(row, TaskStatus.READY, now)
        moves.leave_event(task, now)
    return moved


@moves.atomic
def force(task: Task, target: TaskStatus, *, user: str, text: str, now: datetime) -> bool:
    """Anything but SUCCESS and REMOVED to SUCCESS or FAILED; a live attempt is closed (D-52)."""
    assert target in {TaskStatus.SUCCESS, TaskStatus.FAILED}, target
    words = f"forced to {target.name} by {user}"
    closed = Ending(status=AttemptStatus.KILLED, reason=Reason.FORCED, text=words)
    # Attempt first, then task, as whoever settles does.
    _close_live(task, closed, now)
    row = moves.lock(task)
    sources = {source for source, targets in ALLOWED.items() if target in targets}
    if target is TaskStatus.FAILED:
        sources.add(TaskStatus.FAILED)  # no edge, but the word of whoever forces it counts
    moved = moves.end(task, target, Reason.FORCED, text, now, sources=sources)
    if moved:
        # A claim may have come between; from here on none can.
        _close_live(task, closed, now)
        _note_end(row)
        Task.objects.filter(pk=task.pk).update(fence=F("fence") + 1)
        moves.note(task.pk, "force", now, user=user, reason=target.name, text=text)
    return moved


def _note_end(row: Task) -> None:
    """Note the end that a verb takes back, and what hung in the air when it came."""
    if row.ended_at is None:
        return
    notes = [
        TaskNote(
            at=row.ended_at,
            fact=TaskStatus(row.status).name.lower(),
            reason=row.reason,
            text=row.reason_text,
        )
    ]
    last = row.attempts.order_by("-number").first()
    if last is not None and last.ended_at and row.ready_at and last.ended_at < row.ready_at:
        text = f"until {row.ready_at:%Y-%m-%d %H:%M:%S} UTC"
        notes.append(TaskNote(at=last.ended_at, fact="retry_wait", reason="RETRY_WAIT", text=text))
    if row.rung_at is not None:
        notes.append(TaskNote(at=row.rung_at, fact="rung"))
    for note in notes:
        note.task = row
    TaskNote.objects.bulk_create(notes)


def _close_live(task: Task, ending: Ending, now: datetime) -> None:
    live = Attempt.objects.filter(task=task, status__in=moves.LIVE_VALUES).first()
    if live is not None:
        moves.close(live, ending, now)


def _request_kill(task: Task, user: str, now: datetime, **stamps: object) -> bool:
    rows = Task.objects.filter(pk=task.pk, status=TaskStatus.RUNNING.value)
    asked = Coalesce(F("kill_requested_at"), now)
    return bool(rows.update(kill_requested_at=asked, kill_user=user, **stamps))
