"""A task in the database as the checker sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from chaos.checker import Run, Try
from tasks_app.models import Attempt, Task


def run_of(task: Task, output_of: Callable[[Attempt], dict[str, Any]] = lambda _: {}) -> Run:
    """Return a task, read with its job, and its tries in order, each with its output."""
    return Run(
        id=task.pk,
        job_id=task.job_id,
        status=task.status,
        reason=task.reason,
        due_at=task.due_at,
        opened_at=task.opened_at,
        started_at=task.started_at,
        ended_at=task.ended_at,
        fence=task.fence,
        max_retries=task.job.max_retries,
        retry_interval=task.job.retry_interval,
        tries=[_try(each, output_of(each)) for each in task.attempts.order_by("number")],
    )


def _try(attempt: Attempt, output: dict[str, Any]) -> Try:
    return Try(
        number=attempt.number,
        fence=attempt.fence,
        status=attempt.status,
        reason=attempt.reason,
        claimed_at=attempt.claimed_at,
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        **output,
    )
