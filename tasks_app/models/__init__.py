"""The tables of this app, by subject."""

from __future__ import annotations

from tasks_app.models.notices import Alarm, Change, Delivery, DeliveryTry
from tasks_app.models.runs import MAX_RELEASED_BY, Attempt, Batch, Task, TaskNote
from tasks_app.models.slots import Event, Gap, SkipMark
from tasks_app.models.sums import DailySum
from tasks_app.models.system import Scheduler, SystemState, Worker

__all__ = [
    "MAX_RELEASED_BY",
    "Alarm",
    "Attempt",
    "Batch",
    "Change",
    "DailySum",
    "Delivery",
    "DeliveryTry",
    "Event",
    "Gap",
    "Scheduler",
    "SkipMark",
    "SystemState",
    "Task",
    "TaskNote",
    "Worker",
]
