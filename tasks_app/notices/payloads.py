"""What is told about a task, in the wire's words: the body of a callback or an alarm's webhook."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sentinel_project.wire.fields import to_millis
from tasks_app.models import Alarm, Change, Task
from tasks_app.rules.notices import AlarmEvent


def callback(change: Change) -> dict[str, Any]:
    """Return what a job's ``callbackUrl`` is told of a change of status."""
    return {
        "kind": "STATUS",
        "status": change.to_status,
        "attemptId": change.attempt_number,
        **_run(change.task),
        "reason": change.reason or None,
        "reasonText": change.reason_text or None,
        "time": to_millis(change.at),
    }


def alarm(raised: Alarm, event: AlarmEvent, task: Task, text: str, at: datetime) -> dict[str, Any]:
    """Return what the receivers of an alarm are told."""
    return {
        "kind": "ALARM",
        "alarmId": raised.pk,
        "event": event.value,
        "status": task.status,
        "attemptId": task.attempt_count,
        **_run(task),
        "reason": task.reason or None,
        "reasonText": text or None,
        "time": to_millis(at),
    }


def _run(task: Task) -> dict[str, Any]:
    return {
        "jobId": task.job_id,
        "jobName": task.job.name,
        "taskId": task.pk,
        "scheduleTime": to_millis(task.due_at),
        "dataTime": to_millis(task.data_at),
    }
