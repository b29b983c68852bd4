"""The ends of active windows: from then on a job may not count as a dependency (D-35, D-37)."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from jobs.models import Job
from sentinel_project import prepared
from tasks_app import transitions

BATCH = 500


def note_ended_windows(*, now: datetime) -> int:
    """Leave an event for every job whose window is over since the last pass; return how many."""
    ended = _ended(now)
    for job in ended:
        with transaction.atomic():
            if Job.objects.filter(pk=job.pk, is_over_noted=False).update(is_over_noted=True):
                transitions.leave_event(job, now=now)
    return len(ended)


@prepared.select
def _ended(now: datetime) -> QuerySet[Job]:
    rows = Job.objects.filter(active_until__lte=now, is_over_noted=False)
    return rows.order_by("active_until")[:BATCH]


def next_end() -> datetime | None:
    return next(iter(_first_end()), None)


@prepared.select
def _first_end() -> QuerySet[Job, datetime | None]:
    rows = Job.objects.filter(active_until__isnull=False, is_over_noted=False)
    return rows.order_by("active_until").values_list("active_until", flat=True)[:1]
