"""Alarms that no change raises: a run that has not started, or not finished, by its deadline.

These are the runs that have a task; ``unopened`` looks for those that were never opened.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeAlias

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

from tasks_app.apart import attempt
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

#: A place among late runs: due time, task, alarm.
_Place: TypeAlias = tuple[datetime, int, int]
_BEGINNING: _Place = (datetime.min.replace(tzinfo=UTC), 0, 0)


def watch_deadlines(*, now: datetime) -> int:
    """Raise the deadlines that have passed, each once; return how many that were.

    One that fails is left to the next pass, and stops no other.
    """
    return sum(_raise_all(event, now) for event in _DEADLINES)


def _raise_all(event: AlarmEvent, now: datetime) -> int:
    column = _DEADLINES[event]
    if not Alarm.objects.filter(is_enabled=True, **{f"{column}__isnull": False}).exists():
        return 0
    told, behind = 0, _BEGINNING
    while late := list(_late(event, behind, now)[:BATCH]):
        behind = (late[-1].due_at, late[-1].pk, _alarm_of(late[-1]))
        alarms = Alarm.objects.in_bulk({_alarm_of(task) for task in late})
        for task in late:
            work = partial(_raise, event, alarms, task, now)
            ids = {"task_id": task.pk, "alarm_id": _alarm_of(task)}
            told += attempt(work, "alarm.not_raised", **ids)
    return told


def _alarm_of(task: Task) -> int:
    return int(task.alarm_id)  # type: ignore[attr-defined]


@transaction.atomic
def _raise(event: AlarmEvent, alarms: dict[int, Alarm], task: Task, now: datetime) -> None:
    alarm = alarms[_alarm_of(task)]
    within = getattr(alarm, _DEADLINES[event])
    text = f"not within {within.total_seconds():g} s of its due time; {task.reason_text}"
    once = f"{event.value} of task {task.pk}"
    words: dict[str, Any] = {"once": once, "text": text.rstrip("; "), "now": now}
    insert(list(of_alarm(alarm, event, run_of(task), **words)))


def _late(event: AlarmEvent, behind: _Place, now: datetime) -> QuerySet[Task]:
    """Return tasks beyond the deadline of an alarm, with its id; not those that were told."""
    column = _DEADLINES[event]
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
        _is_behind(*behind),
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
    rows = rows.annotate(alarm_id=F("job__alarms")).select_related("job")
    return rows.order_by("due_at", "pk", "alarm_id")


def _is_behind(due_at: datetime, task_id: int, alarm_id: int) -> Q:
    same_due = Q(due_at=due_at)
    later_alarm = Q(pk=task_id, job__alarms__gt=alarm_id)
    return Q(due_at__gt=due_at) | (same_due & Q(pk__gt=task_id)) | (same_due & later_alarm)
