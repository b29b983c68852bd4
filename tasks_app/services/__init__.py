"""What callers ask of tasks: the API, the admin and the simulation use these same verbs."""

from __future__ import annotations

from tasks_app.services.fills import fill_gaps
from tasks_app.services.reruns import Reran, Rerun, plan_rerun, rerun
from tasks_app.services.runs import run_now
from tasks_app.services.system import set_system_paused
from tasks_app.services.verbs import (
    TaskAnswer,
    force_status,
    kill_tasks,
    remove_tasks,
    retry_tasks,
)

__all__ = [
    "Reran",
    "Rerun",
    "TaskAnswer",
    "fill_gaps",
    "force_status",
    "kill_tasks",
    "plan_rerun",
    "remove_tasks",
    "rerun",
    "retry_tasks",
    "run_now",
    "set_system_paused",
]
