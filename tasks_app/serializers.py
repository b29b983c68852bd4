"""The wire's words for tasks and attempts (2-wire.md 4). Wire names end here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobs.models import Job
from logs_app import store
from logs_app.models import StreamKind
from sentinel_project.wire.envelope import Reply, ReplyCode
from sentinel_project.wire.fields import IdField, ListField, to_millis
from sentinel_project.wire.params import Params
from tasks_app.models import Attempt, Task
from tasks_app.selectors import Page
from tasks_app.services import TaskAnswer

_SHOWN_REFUSALS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRef:
    task_id: int


class TaskRefParams(Params):
    """``parameters`` of what asks about one task."""

    builds = TaskRef

    taskId = IdField(source="task_id")


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRefs:
    task_ids: tuple[int, ...]


class TaskRefsParams(Params):
    """``parameters`` of what is done to several tasks."""

    builds = TaskRefs

    taskIds = ListField(child=IdField(), source="task_ids", allow_empty=False)


def status(task: Task) -> dict[str, object]:
    return {
        "taskId": task.pk,
        "status": task.status,
        "attemptId": task.attempt_count,
        "reason": task.reason or None,
    }


def status_of_job(job: Job, task: Task) -> dict[str, object]:
    return {"jobId": job.pk, **status(task)}


def brief(task: Task) -> dict[str, object]:
    """Return a task as it stands in a list."""
    return {
        "taskId": task.pk,
        "attemptId": task.attempt_count,
        "status": task.status,
        "kind": task.kind,
        "scheduleTime": to_millis(task.due_at),
        "dataTime": to_millis(task.data_at),
        "startTime": to_millis(task.started_at),
        "endTime": to_millis(task.ended_at),
        "reason": task.reason or None,
    }


def page(job: Job, found: Page) -> dict[str, object]:
    return {
        "jobId": job.pk,
        "taskIds": [task.pk for task in found.tasks],
        "tasks": [brief(task) for task in found.tasks],
        "cursor": found.cursor,
    }


def whole(task: Task, attempts: Sequence[Attempt]) -> dict[str, object]:
    """Return everything about a task, its attempts included."""
    sizes = store.sizes([attempt.pk for attempt in attempts])
    return {
        "jobId": task.job_id,
        **brief(task),
        "reasonText": task.reason_text or None,
        "openTime": to_millis(task.opened_at),
        "readyTime": to_millis(task.ready_at),
        "expireTime": to_millis(task.expires_at),
        "workerGroupId": task.worker_group_id,
        "priority": task.priority,
        "batchId": task.batch_id,
        "executeUser": task.execute_user,
        "attempts": [
            _attempt(
                attempt,
                log_size=sizes.get((attempt.pk, StreamKind.LOG), 0),
                result_size=sizes.get((attempt.pk, StreamKind.RESULT), 0),
            )
            for attempt in attempts
        ],
    }


def _attempt(attempt: Attempt, *, log_size: int, result_size: int) -> dict[str, object]:
    return {
        "attemptId": attempt.number,
        "status": attempt.status,
        "worker": attempt.worker,
        "startTime": to_millis(attempt.started_at),
        "endTime": to_millis(attempt.ended_at),
        "exitCode": attempt.exit_code,
        "reason": attempt.reason or None,
        "logSize": log_size,
        "resultSize": result_size,
    }


def answers(per_task: Iterable[TaskAnswer]) -> Reply:
    """Return the reply to a request about several tasks: refused if any of them was (doc 5)."""
    listed = list(per_task)
    refused = [answer for answer in listed if not answer.accepted]
    return Reply(
        data={"results": [_answer(answer) for answer in listed]},
        code=ReplyCode.REFUSED if refused else ReplyCode.OK,
        msg=_summary(refused, len(listed)) if refused else "success",
    )


def _answer(answer: TaskAnswer) -> dict[str, object]:
    return {
        "taskId": answer.task_id,
        "code": int(ReplyCode.OK if answer.accepted else ReplyCode.REFUSED),
        "msg": answer.message or "success",
        "status": answer.status,
    }


def _summary(refused: Sequence[TaskAnswer], asked: int) -> str:
    shown = "; ".join(answer.message for answer in refused[:_SHOWN_REFUSALS])
    more = len(refused) - _SHOWN_REFUSALS
    return f"{len(refused)} of {asked} refused: {shown}" + (
        f"; and {more} more" if more > 0 else ""
    )
