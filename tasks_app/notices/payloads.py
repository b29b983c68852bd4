"""What is told about a task, in the wire's words: the body of a callback or an alarm's webhook."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from jobs.models import Job
from sentinel_project.wire.fields import to_millis
from tasks_app.models import Alarm, Change, Task
from tasks_app.rules.notices import AlarmEvent, SystemEvent


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a job; ``task`` None: it was never opened."""

    job: Job
    due_at: datetime
    task: Task | None = None


def run_of(task: Task) -> Run:
    return Run(task.job, task.due_at, task)


def callback(change: Change) -> dict[str, Any]:
    """Return what a job's ``callbackUrl`` is told of a change of status."""
    return {
        "kind": "STATUS",
        "status": change.to_status,
        "attemptId": change.attempt_number,
        **_run(run_of(change.task)),
        "reason": change.reason or None,
        "reasonText": change.reason_text or None,
        "time": to_millis(change.at),
    }


def alarm(raised: Alarm, event: AlarmEvent, run: Run, text: str, at: datetime) -> dict[str, Any]:
    """Return what the receivers of an alarm are told."""
    task = run.task
    return {
        "kind": "ALARM",
        "alarmId": raised.pk,
        "event": event.value,
        "status": task.status if task else None,
        "attemptId": task.attempt_count if task else 0,
        **_run(run),
        "reason": (task.reason or None) if task else None,
        "reasonText": text or None,
        "time": to_millis(at),
    }


def system(event: SystemEvent, subject: str, text: str, at: datetime) -> dict[str, Any]:
    """Return what the operators are told."""
    return {
        "kind": "SYSTEM",
        "event": event.value,
        "subject": subject,
        "reasonText": text,
        "time": to_millis(at),
    }


def _run(run: Run) -> dict[str, Any]:
    return {
        "jobId": run.job.pk,
        "jobName": run.job.name,
        "taskId": run.task.pk if run.task else None,
        "scheduleTime": to_millis(run.due_at),
        "dataTime": to_millis(run.task.data_at if run.task else run.due_at),
    }
