"""Admin pages of tasks and attempts, of who is alive, and of what lies around them."""

from __future__ import annotations

from tasks_app.admin.alarms import AlarmAdmin
from tasks_app.admin.attempts import AttemptAdmin
from tasks_app.admin.notices import DeliveryAdmin
from tasks_app.admin.records import (
    DailySumAdmin,
    EventAdmin,
    GapAdmin,
    SchedulerAdmin,
    WorkerAdmin,
)
from tasks_app.admin.system import SystemStateAdmin
from tasks_app.admin.tasks import TaskAdmin

__all__ = [
    "AlarmAdmin",
    "AttemptAdmin",
    "DailySumAdmin",
    "DeliveryAdmin",
    "EventAdmin",
    "GapAdmin",
    "SchedulerAdmin",
    "SystemStateAdmin",
    "TaskAdmin",
    "WorkerAdmin",
]
