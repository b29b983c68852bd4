"""Deadlines of runs that are owed and were never opened: no task, no change, nobody to tell of it.

A paused job, a paused system, an expression that was set aside, an upstream that named nothing: the
run is expected (D-32), and whoever asked to hear of late runs hears of it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q

from jobs.expected import Expectations
from jobs.rules.enums import JobStatus
from jobs.rules.windows import Window
from sentinel_project import dbfaults
from tasks_app.explain import explain
from tasks_app.models import Alarm, SkipMark
from tasks_app.notices.expanding import insert, of_alarm
from tasks_app.notices.payloads import Run
from tasks_app.rules.notices import AlarmEvent

logger = logging.getLogger(__name__)

#: Who was not looking for longer tells of the newest runs only.
_FURTHEST = timedelta(days=1)
_MOST = 50
#: DISABLED and TRASHED jobs owe nothing (D-56).
_OWING = [JobStatus.ACTIVE.value, JobStatus.PAUSED.value]


def watch_unopened(*, now: datetime) -> int:
    """Raise the deadlines of runs that have no task, each once; return how many that were.

    A job that cannot be computed keeps no other from being looked at; its operators are told.
    """
    has_deadline = Q(start_within__isnull=False) | Q(finish_within__isnull=False)
    rows = Alarm.objects.filter(has_deadline, is_enabled=True, job__status__in=_OWING)
    expectations = Expectations(is_reading=True)
    told, looked = 0, []
    for alarm in rows.select_related("job"):
        try:
            told += _look(alarm, expectations, now)
        except Exception as error:
            if dbfaults.is_lost(error):
                raise
            logger.exception("alarm.not_looked", extra={"alarm_id": alarm.pk})
        else:
            looked.append(alarm.pk)
    Alarm.objects.filter(pk__in=looked).update(looked_at=now)
    return told


@transaction.atomic
def _look(alarm: Alarm, expectations: Expectations, now: datetime) -> int:
    since = max(alarm.looked_at or alarm.created_at, now - _FURTHEST)
    told = 0
    for event, within in (
        (AlarmEvent.NOT_STARTED, alarm.start_within),
        (AlarmEvent.NOT_FINISHED, alarm.finish_within),
    ):
        if within is None:
            continue
        start = max(since - within, alarm.created_at)
        if start < now - within:
            for due_at in _unopened(alarm, Window(start, now - within), expectations):
                _tell(alarm, event, within, due_at, now)
                told += 1
    return told


def _unopened(alarm: Alarm, span: Window, expectations: Expectations) -> list[datetime]:
    """Return the newest due times in ``span`` that are owed and have no task."""
    dues = [
        run.due_at
        for run in expectations.runs(alarm.job_id, span)
        if run.status is None and span.contains(run.due_at)
    ][-_MOST:]
    marks = SkipMark.objects.filter(job=alarm.job_id, due_at__in=dues)
    skipped = set(marks.values_list("due_at", flat=True))
    return [due_at for due_at in dues if due_at not in skipped]


def _tell(
    alarm: Alarm, event: AlarmEvent, within: timedelta, due_at: datetime, now: datetime
) -> None:
    text = f"not within {within.total_seconds():g} s of its due time; "
    text += next(_holding(alarm, due_at, now), "it was not opened")
    once = f"{event.value} of {alarm.job_id} at {due_at.isoformat()}"
    run = Run(alarm.job, due_at)
    insert(list(of_alarm(alarm, event, run, once=once, text=text, now=now)))


def _holding(alarm: Alarm, due_at: datetime, now: datetime) -> Iterator[str]:
    gates = explain(alarm.job, due_at, None, now=now)
    return (gate.text for gate in gates if gate.is_blocking and gate.text)
