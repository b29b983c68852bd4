"""One try from claim to end: what workers and the rescuer write (3-execution.md 4)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from jobs.rules.enums import JobStatus
from sentinel_project import prepared
from sentinel_project.chained import Insert, chained
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import AttemptStatus, Reason, TaskStatus
from tasks_app.transitions import moves
from tasks_app.transitions.values import Ending

#: Requeues that cost no try: an attempt that was claimed but never started (3-execution.md 3).
MAX_FREE_REQUEUES = 5


@moves.atomic
def claim(
    task: Task, *, worker: str, lease_until: datetime, now: datetime, starts: bool = False
) -> Attempt | None:
    """READY to RUNNING, opening the next attempt (STARTING). None: another worker has it.

    ``starts``: the attempt is RUNNING from its first commit on, for content that the worker itself
    is about to run.
    """
    claimed = moves.moving(
        task.pk,
        {TaskStatus.READY},
        TaskStatus.RUNNING,
        guard={"fence": task.fence},
        fence=task.fence + 1,
        attempt_count=task.attempt_count + 1,
        started_at=task.started_at or now,
        reason="",
        reason_text="",
        **moves.NOT_RUNG,
    )
    attempt = _opened(task, worker, lease_until, now, starts=starts)
    if not chained(claimed, Insert(attempt)):
        return None
    task.fence, task.attempt_count = attempt.fence, attempt.number
    task.status = TaskStatus.RUNNING
    moves.note_move(task.pk, TaskStatus.RUNNING)
    moves.announce(task, TaskStatus.RUNNING, now)
    return attempt


def _opened(
    task: Task, worker: str, lease_until: datetime, now: datetime, *, starts: bool
) -> Attempt:
    """Return the next attempt of a task, unsaved."""
    status = AttemptStatus.RUNNING if starts else AttemptStatus.STARTING
    return Attempt(
        task=task,
        number=task.attempt_count + 1,
        fence=task.fence + 1,
        status=status.value,
        worker=worker,
        ready_at=task.ready_at,
        rung_at=task.rung_at,
        ring_count=task.ring_count,
        claimed_at=now,
        started_at=now if starts else None,
        lease_until=lease_until,
        content=task.job.content,
        extra=task.job.extra if task.extra is None else task.extra,
    )


def keep_rendered(attempt: Attempt, content: str, extra: Mapping[str, Any]) -> None:
    """Keep what a live attempt really runs, where that is not what the job says (D-86)."""
    if (content, extra) != (attempt.content, attempt.extra):
        attempt.rendered = {"content": content, "extra": dict(extra)}
        rows = Attempt.objects.filter(pk=attempt.pk, status__in=moves.LIVE_VALUES)
        rows.update(rendered=attempt.rendered)


def start(attempt: Attempt, *, now: datetime) -> bool:
    """STARTING to RUNNING, committed before anything is executed. False: it was taken over."""
    where = {"pk": attempt.pk, "status": AttemptStatus.STARTING.value}
    attempt.started_at = now
    stamps = {"status": AttemptStatus.RUNNING.value, "started_at": now}
    return bool(prepared.write(Attempt, where, stamps))


@moves.atomic
def settle(attempt: Attempt, ending: Ending, *, now: datetime) -> Task | None:
    """RUNNING to SUCCESS, FAILED or KILLED, or back to READY for a retry (X-6, X-7).

    Return the task as it is afterwards. None: the attempt was taken over, its report is ignored.
    """
    if ending.status is AttemptStatus.SUCCESS:
        return _succeed(attempt, ending, now)
    if not moves.close(attempt, ending, now):
        return None
    task = moves.task_of(attempt)
    match ending.status:
        case AttemptStatus.KILLED:
            _end_killed(task, ending, now)
        case _:
            _retry_or_fail(task, ending, now)
    return task


def _succeed(attempt: Attempt, ending: Ending, now: datetime) -> Task | None:
    """Whatever was asked of the task meanwhile, its success came first: no need to read it."""
    steps = moves.closing(attempt, ending, now)
    steps += moves.ending(attempt.task, TaskStatus.SUCCESS, "", "", now)
    if not chained(*steps):
        return None
    moves.note_end(attempt.task, TaskStatus.SUCCESS, now)
    return attempt.task


@moves.atomic
def rescue(attempt: Attempt, ending: Ending, *, now: datetime) -> Task | None:
    """Take a RUNNING task from the worker it lost, with a new fence. None: somebody was first.

    A try that had started counts; one that had not is requeued free, at most five times.
    """
    had_started = attempt.started_at is not None
    if not moves.close(attempt, ending, now):
        return None
    task = moves.task_of(attempt)
    Task.objects.filter(pk=task.pk).update(fence=F("fence") + 1)
    if task.kill_requested_at is not None:
        _end_killed(task, ending, now)
    elif had_started:
        _retry_or_fail(task, ending, now)
    elif task.free_requeues < MAX_FREE_REQUEUES:
        _requeue_free(task, ending, now, free_requeues=F("free_requeues") + 1)
    else:
        text = f"claimed {task.free_requeues + 1} times by workers that died before it started"
        moves.end(task, TaskStatus.FAILED, Reason.POISON, text, now)
    return task


@moves.atomic
def hand_back(attempt: Attempt, ending: Ending, *, now: datetime) -> bool:
    """RUNNING to READY at once and free: the worker is shutting down and its tree is gone."""
    if not moves.close(attempt, ending, now):
        return False
    task = moves.task_of(attempt)
    if task.kill_requested_at is not None:
        _end_killed(task, ending, now)
    else:
        _requeue_free(task, ending, now)
    return True


def _retry_or_fail(task: Task, ending: Ending, now: datetime) -> None:
    """One more try, if it can help and the budget allows; none in DISABLED and TRASHED jobs."""
    if task.kill_requested_at is not None:
        _end_killed(task, ending, now)
        return
    is_closed = task.job.status in {JobStatus.DISABLED, JobStatus.TRASHED}
    # What could not be proved gone may still run: another try would run beside it.
    is_final = ending.is_final or ending.reason == Reason.KILL_UNCONFIRMED
    if task.tries_used >= task.job.max_retries or is_closed or is_final:
        moves.end(task, TaskStatus.FAILED, ending.reason, ending.text, now)
        return
    wait_for = task.job.retry_interval
    text = f"attempt {task.attempt_count} failed ({ending.text}); next in {_seconds(wait_for)}"
    ready_at = now + wait_for
    _requeue(
        task, ready_at, tries_used=F("tries_used") + 1, reason=Reason.RETRY_WAIT, reason_text=text
    )
    moves.announce(task, TaskStatus.READY, now, reason=Reason.RETRY_WAIT, text=text)


def _requeue_free(task: Task, ending: Ending, now: datetime, **stamps: Any) -> None:
    """Back to READY without a try spent, unless nothing starts in the job any more (D-56)."""
    status = task.job.status
    is_off = status == JobStatus.DISABLED and not task.is_asked
    if is_off or status == JobStatus.TRASHED:
        moves.end(task, TaskStatus.FAILED, ending.reason, ending.text, now)
    else:
        _requeue(task, now, **stamps)
        moves.announce(task, TaskStatus.READY, now)


def _requeue(task: Task, ready_at: datetime, **stamps: Any) -> None:
    stamps = {"reason": "", "reason_text": "", **stamps}
    moves.move(
        task.pk,
        {TaskStatus.RUNNING},
        TaskStatus.READY,
        ready_at=ready_at,
        **moves.NOT_RUNG,
        **stamps,
    )
    task.status, task.ready_at = TaskStatus.READY, ready_at


def _end_killed(task: Task, ending: Ending, now: datetime) -> None:
    """RUNNING to KILLED, and on to REMOVED where the kill was the first half of a removal."""
    unconfirmed = ending.reason == Reason.KILL_UNCONFIRMED
    reason = Reason.KILL_UNCONFIRMED if unconfirmed else Reason.KILLED_BY_USER
    text = ending.text if unconfirmed else f"killed by {task.kill_user}"
    moves.end(task, TaskStatus.KILLED, reason, text, now)
    if task.removes_after_kill:
        text = f"removed by {task.kill_user}"
        killed = {TaskStatus.KILLED}
        moves.end(task, TaskStatus.REMOVED, Reason.REMOVED_BY_USER, text, now, sources=killed)


def _seconds(span: timedelta) -> str:
    return f"{span.total_seconds():g} s"
