"""Alarms that no change raises: a run that has not started, or not finished, by its deadline.

These are the runs that have a task; ``unopened`` looks for those that were never opened.
"""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import (
    DateTimeField,
    Exists,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Value,
)

from tasks_app.models import Alarm, Delivery, Task
from tasks_app.notices.expanding import insert, of_alarm
from tasks_app.notices.payloads import run_of
from tasks_app.rules.notices import AlarmEvent
from tasks_app.rules.states import UNFINISHED, TaskKind

BATCH = 200
_UNFINISHED = [status.value for status in UNFINISHED]
#: Reruns and fills are late by their nature.
_KINDS = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]
_DEADLINES = {AlarmEvent.NOT_STARTED: "start_within", AlarmEvent.NOT_FINISHED: "finish_within"}


def watch_deadlines(*, now: datetime) -> int:
    """Raise the deadlines that have passed, each once; return how many that were."""
    return sum(_raise(event, now) for event in _DEADLINES)


def _raise(event: AlarmEvent, now: datetime) -> int:
    column = _DEADLINES[event]
    if not Alarm.objects.filter(is_enabled=True, **{f"{column}__isnull": False}).exists():
        return 0
    late = list(_late(event, column, now)[:BATCH])
    alarms = Alarm.objects.in_bulk({task.alarm_id for task in late})  # type: ignore[attr-defined]
    with transaction.atomic():
        for task in late:
            alarm = alarms[task.alarm_id]  # type: ignore[attr-defined]
            within = getattr(alarm, column)
            text = f"not within {within.total_seconds():g} s of its due time; {task.reason_text}"
            once = f"{event.value} of task {task.pk}"
            insert(
                list(
                    of_alarm(alarm, event, run_of(task), once=once, text=text.rstrip("; "), now=now)
                )
            )
    return len(late)


def _late(event: AlarmEvent, column: str, now: datetime) -> QuerySet[Task]:
    """Return tasks beyond the deadline of an alarm, with its id; not those that were told."""
    within = F(f"job__alarms__{column}")
    bound = ExpressionWrapper(
        Value(now, output_field=DateTimeField()) - within, output_field=DateTimeField()
    )
    as_unopened = Q(task__isnull=True, job=OuterRef("job"), due_at=OuterRef("due_at"))
    told = Delivery.objects.filter(
        Q(task=OuterRef("pk")) | as_unopened, alarm=OuterRef("job__alarms"), event=event.value
    )
    not_yet = Q(started_at__isnull=True) if event is AlarmEvent.NOT_STARTED else Q()
    rows = Task.objects.filter(
        not_yet,
        ~Exists(told),
        status__in=_UNFINISHED,
        kind__in=_KINDS,
        job__has_alarms=True,
        job__alarms__is_enabled=True,
        **{f"job__alarms__{column}__isnull": False},
        due_at__lte=bound,
        due_at__gte=F("job__alarms__created_at"),
    )
    return rows.annotate(alarm_id=F("job__alarms")).select_related("job").order_by("due_at")
