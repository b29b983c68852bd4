"""Housekeeping: what has done its work leaves, and nothing else does."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from jobs.models import RequestRecord
from tasks_app import housekeeping
from tasks_app.models import Event, Task, Worker
from tests.builders import make_app, make_task

pytestmark = pytest.mark.django_db


def make_event(now: datetime, *, processed: timedelta | None) -> Event:
    task = make_task()
    processed_at = None if processed is None else now - processed
    return Event.objects.create(
        job=task.job, task=task, created_at=now - timedelta(days=9), processed_at=processed_at
    )


def test_processed_events_leave_after_a_day_and_unprocessed_ones_never(now: datetime) -> None:
    make_event(now, processed=timedelta(days=1, seconds=1))
    kept = [make_event(now, processed=timedelta(hours=23)), make_event(now, processed=None)]

    gone = housekeeping.sweep(now=now)

    assert gone == 1
    assert set(Event.objects.all()) == set(kept)
    assert Task.objects.count() == 3


def test_remembered_answers_leave_after_a_day(now: datetime) -> None:
    app = make_app()
    for hours in (25, 23):
        RequestRecord.objects.create(
            app=app,
            endpoint="/api/job/submit",
            request_key=f"r{hours}",
            digest="",
            created_at=now - timedelta(hours=hours),
        )

    housekeeping.sweep(now=now)

    assert list(RequestRecord.objects.values_list("request_key", flat=True)) == ["r23"]


def test_workers_that_were_silent_for_a_week_leave(now: datetime) -> None:
    for days in (8, 6):
        Worker.objects.create(
            name=f"w{days}",
            host="h",
            pid=1,
            pool="prefork",
            slots=1,
            started_at=now - timedelta(days=9),
            beat_at=now - timedelta(days=days),
        )

    housekeeping.sweep(now=now)

    assert list(Worker.objects.values_list("name", flat=True)) == ["w6"]


def test_more_than_a_batch_leaves_in_one_sweep(now: datetime) -> None:
    task = make_task()
    processed_at = now - timedelta(days=2)
    Event.objects.bulk_create(
        Event(job=task.job, task=task, created_at=processed_at, processed_at=processed_at)
        for _ in range(housekeeping.BATCH + 1)
    )

    assert housekeeping.sweep(now=now) == housekeeping.BATCH + 1
    assert not Event.objects.exists()
