"""What a rehearsal prints: its tasks, gaps, refusals and answers, the same bytes every time."""

from __future__ import annotations

from typing import Any

from tasks_app.models import Attempt, Gap, Task
from tasks_app.rules.states import AttemptStatus, TaskStatus
from tasks_app.simulation.labels import Labels
from tasks_app.simulation.world import World

_OPEN = {AttemptStatus.STARTING.value, AttemptStatus.RUNNING.value}


def report(world: World) -> dict[str, Any]:
    """Return the document that ``manage.py simulate`` prints (5-simulation.md)."""
    labels = world.labels
    attempts: dict[int, list[Attempt]] = {}
    for attempt in Attempt.objects.order_by("task_id", "number"):
        attempts.setdefault(attempt.task_id, []).append(attempt)
    tasks = sorted(
        Task.objects.all(),
        key=lambda task: (task.opened_at, labels.of_job(task.job_id), task.due_at, task.pk),
    )
    return {
        "tasks": [_task(task, attempts.get(task.pk, []), labels) for task in tasks],
        "gaps": [_gap(gap, labels) for gap in _gaps(labels)],
        "refused": world.refused,
        "answers": world.answers,
    }


def _task(task: Task, attempts: list[Attempt], labels: Labels) -> dict[str, Any]:
    return {
        "id": labels.of_task(task),
        "job": labels.of_job(task.job_id),
        "kind": task.kind,
        "due": labels.time(task.due_at),
        "data": labels.time(task.data_at),
        "status": TaskStatus(task.status).name,
        "reason": task.reason or None,
        "opened": labels.time(task.opened_at),
        "released": labels.time_or_none(task.released_at),
        "started": labels.time_or_none(task.started_at),
        "ended": labels.time_or_none(task.ended_at),
        "attempts": [
            {
                "n": attempt.number,
                "start": labels.time_or_none(attempt.started_at),
                "end": labels.time_or_none(attempt.ended_at),
                "status": "RUNNING" if attempt.status in _OPEN else attempt.status,
            }
            for attempt in attempts
        ],
    }


def _gaps(labels: Labels) -> list[Gap]:
    return sorted(
        Gap.objects.all(), key=lambda gap: (gap.from_at, labels.of_job(gap.job_id), gap.pk)
    )


def _gap(gap: Gap, labels: Labels) -> dict[str, Any]:
    return {
        "job": labels.of_job(gap.job_id),
        "from": labels.time(gap.from_at),
        "to": labels.time(gap.to_at),
        "count": gap.count,
        "reason": gap.reason,
    }
