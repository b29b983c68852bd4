"""Kill, retry, remove and force: each answers task by task, and repeating it is harmless."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from jobs import audit
from jobs.models import App
from jobs.rules.enums import JobStatus
from sentinel_project.errors import InvalidParameters, NotFound, Refused
from tasks_app import transitions, wakeup
from tasks_app.models import Task
from tasks_app.rules.states import TaskStatus


@dataclass(frozen=True, slots=True)
class TaskAnswer:
    """What became of one task of a request. ``status`` None: there is no such task (W-21)."""

    task_id: int
    accepted: bool
    message: str
    status: TaskStatus | None


def kill_tasks(task_ids: Sequence[int], *, app: App, user: str, now: datetime) -> list[TaskAnswer]:
    """Stop tasks (D-53): unstarted ones are KILLED at once, running ones as soon as proved."""

    def kill(task: Task) -> TaskAnswer:
        if task.status == TaskStatus.KILLED or transitions.kill(task, user=user, now=now):
            return _answer(task, True, "")
        return _answer(task, False, "it has ended")

    return _each(task_ids, kill, app=app, user=user, now=now, action="task.kill")


def retry_tasks(task_ids: Sequence[int], *, app: App, user: str, now: datetime) -> list[TaskAnswer]:
    """Run FAILED and KILLED tasks again in place, with a fresh budget (D-50)."""

    def retry(task: Task) -> TaskAnswer:
        if task.job.status == JobStatus.TRASHED:
            return _answer(task, False, "its job is TRASHED")
        if transitions.retry(task, user=user, now=now):
            return _answer(task, True, "")
        return _answer(task, False, "only FAILED and KILLED tasks can be retried")

    return _each(task_ids, retry, app=app, user=user, now=now, action="task.retry")


def remove_tasks(
    task_ids: Sequence[int], *, app: App, user: str, now: datetime
) -> list[TaskAnswer]:
    """Take tasks out; they count as done for whoever depends on them (D-54)."""

    def remove(task: Task) -> TaskAnswer:
        if task.status == TaskStatus.REMOVED or transitions.remove(task, user=user, now=now):
            return _answer(task, True, "")
        return _answer(task, False, "it has succeeded")

    return _each(task_ids, remove, app=app, user=user, now=now, action="task.remove")


def force_status(
    task_id: int, status: TaskStatus, *, app: App, user: str, reason: str, now: datetime
) -> TaskAnswer:
    """Set a task to SUCCESS or FAILED by hand (D-52)."""
    if status not in {TaskStatus.SUCCESS, TaskStatus.FAILED}:
        raise InvalidParameters(f"status: {status.value} cannot be forced; 4 SUCCESS or 5 FAILED")

    def force(task: Task) -> TaskAnswer:
        text = f"forced to {status.name} by {user}" + (f": {reason}" if reason else "")
        if transitions.force(task, status, user=user, text=text, now=now):
            return _answer(task, True, "")
        return _answer(task, False, f"it cannot be forced to {status.name}")

    (answer,) = _each([task_id], force, app=app, user=user, now=now, action="task.force")
    if answer.status is None:
        raise NotFound(answer.message)
    if not answer.accepted:
        raise Refused(answer.message)
    return answer


def _each(
    task_ids: Sequence[int],
    verb: Callable[[Task], TaskAnswer],
    *,
    app: App,
    user: str,
    now: datetime,
    action: str,
) -> list[TaskAnswer]:
    """Do ``verb`` to each task the app may touch, auditing what was accepted.

    Locks in one order whatever the caller's: two such calls must not wait for each other.
    """
    rows = Task.objects.filter(pk__in=task_ids).select_related("job").order_by("pk")
    if not app.is_admin:
        rows = rows.filter(job__app=app)
    answers = {}
    for task in rows:
        # Each with its entry and wake-up: the admin's have no transaction around them all.
        with transaction.atomic(savepoint=False):
            before = TaskStatus(task.status)
            answer = answers[task.pk] = verb(task)
            if answer.accepted:
                wakeup.signal()
                audit.record(
                    action,
                    task,
                    app=app,
                    user=user,
                    before={"status": before.name},
                    after={"status": answer.status.name if answer.status else None},
                    now=now,
                )
    return [answers.get(task_id) or _unknown(task_id) for task_id in task_ids]


def _unknown(task_id: int) -> TaskAnswer:
    return TaskAnswer(task_id, False, f"no task {task_id}", None)


def _answer(task: Task, accepted: bool, problem: str) -> TaskAnswer:
    task.refresh_from_db(fields=["status"])
    status = TaskStatus(task.status)
    message = "" if accepted else f"task {task.pk} is {status.name}: {problem}"
    return TaskAnswer(task.pk, accepted, message, status)
