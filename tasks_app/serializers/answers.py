"""What is answered about tasks and attempts (2-wire.md 4)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from jobs.models import Job
from logs_app import store
from logs_app.models import StreamKind
from sentinel_project.wire.envelope import Reply, ReplyCode
from sentinel_project.wire.fields import to_millis
from tasks_app.gates import Gate
from tasks_app.models import Attempt, SystemState, Task
from tasks_app.selectors import Page
from tasks_app.serializers import data
from tasks_app.services import Reran, Rerun, TaskAnswer
from tasks_app.timeline import Fact

_SHOWN_REFUSALS = 5


def status(task: Task) -> data.TaskStatusData:
    return {
        "taskId": task.pk,
        "status": task.status,
        "attemptId": task.attempt_count,
        "reason": task.reason or None,
    }


def status_of_job(job: Job, task: Task) -> data.OneOffStatus:
    return {"jobId": job.pk, **status(task)}


def brief(task: Task) -> data.TaskBrief:
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


def page(job: Job, found: Page) -> data.TaskPage:
    return {
        "jobId": job.pk,
        "taskIds": [task.pk for task in found.tasks],
        "tasks": [brief(task) for task in found.tasks],
        "cursor": found.cursor,
    }


def whole(
    task: Task, attempts: Sequence[Attempt], looked_at: Attempt | None = None
) -> data.WholeTask:
    """Return everything about a task, its attempts included; of one of them also what it ran."""
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
                what_ran=None if looked_at is None or attempt != looked_at else looked_at.what_ran,
            )
            for attempt in attempts
        ],
    }


def _attempt(
    attempt: Attempt, *, log_size: int, result_size: int, what_ran: Mapping[str, Any] | None
) -> data.AttemptData:
    told: data.AttemptData = {
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
    if what_ran is not None:
        told["content"], told["params"] = what_ran["content"], what_ran["extra"]
    return told


def answers(per_task: Iterable[TaskAnswer]) -> Reply[data.TaskResults]:
    """Return the reply to a request about several tasks: refused if any of them was (doc 5)."""
    listed = list(per_task)
    refused = [answer for answer in listed if not answer.accepted]
    return Reply(
        data={"results": [_answer(answer) for answer in listed]},
        code=ReplyCode.REFUSED if refused else ReplyCode.OK,
        msg=_summary(refused, len(listed)) if refused else "success",
    )


def _answer(answer: TaskAnswer) -> data.TaskResult:
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


def batch(made: Reran) -> data.BatchData:
    """Return a rerun that was made."""
    return {
        "batchId": made.batch.pk,
        "taskIds": made.task_ids,
        "cutTime": to_millis(made.cut_at),
    }


def rerun_plan(plan: Rerun) -> data.RerunPlan:
    """Return a rerun as it would be, in the order of its due times (D-51)."""
    return {
        "count": plan.count,
        "cutTime": to_millis(plan.cut_at),
        "tasks": [{"jobId": job_id, "scheduleTime": to_millis(due)} for due, job_id in plan.slots],
    }


def related(task_ids: Mapping[int, Sequence[int]]) -> data.RelatedTasks:
    return {"list": [{"jobId": job_id, "taskIds": list(ids)} for job_id, ids in task_ids.items()]}


def explained(
    job: Job,
    due_at: datetime,
    task: Task | None,
    gates: Iterable[Gate],
    *,
    at: datetime | None,
) -> data.Explanation:
    """Return an explanation; the task and its status are those of now."""
    return {
        "jobId": job.pk,
        "scheduleTime": to_millis(due_at),
        "taskId": None if task is None else task.pk,
        "status": None if task is None else task.status,
        "at": to_millis(at),
        "gates": [_gate(gate) for gate in gates],
    }


def _gate(gate: Gate) -> data.GateData:
    """Return a gate; a dependency's comes with its window and the first of its expected runs."""
    answer: data.GateData = {
        "gate": gate.name,
        "state": gate.state.value,
        "reason": gate.reason.value if gate.reason else None,
        "text": gate.text,
        "since": to_millis(gate.since),
    }
    if gate.window is not None:
        answer["window"] = [to_millis(gate.window.start), to_millis(gate.window.end)]
        answer["expected"] = [
            {"due": to_millis(run.due_at), "status": run.status} for run in gate.expected or ()
        ]
        answer["isCut"] = gate.has_more
    return answer


def timeline(task: Task, facts: Iterable[Fact]) -> data.Timeline:
    return {
        "jobId": task.job_id,
        "taskId": task.pk,
        "facts": [
            {
                "time": to_millis(fact.at),
                "fact": fact.what.value,
                "attemptId": fact.attempt,
                "reason": fact.reason or None,
                "user": fact.user or None,
                "text": fact.text,
            }
            for fact in facts
        ],
    }


def system(state: SystemState) -> data.SystemStatus:
    """Return the whole-system switch as it stands: 1 runs, 2 paused (D-60)."""
    return {
        "status": 2 if state.is_paused else 1,
        "changeTime": to_millis(state.changed_at),
        "changeUser": state.changed_by or None,
    }
