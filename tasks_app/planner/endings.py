"""The ends of active windows: from then on a job may not count as a dependency (D-35, D-37)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from django.db import transaction
from django.db.models import Q, QuerySet

from jobs.models import Job
from sentinel_project import prepared
from tasks_app import transitions
from tasks_app.apart import attempt

BATCH = 500


def note_ended_windows(*, now: datetime) -> int:
    """Leave an event for every job whose window is over since the last pass; return how many."""
    noted = 0
    behind = (datetime.min.replace(tzinfo=UTC), 0)
    while ended := _ended(now, *behind):
        for job in ended:
            noted += attempt(partial(_note, job, now), "job.end_not_noted", job_id=job.pk)
        assert ended[-1].active_until is not None
        behind = ended[-1].active_until, ended[-1].pk
    return noted


@transaction.atomic
def _note(job: Job, now: datetime) -> None:
    if Job.objects.filter(pk=job.pk, is_over_noted=False).update(is_over_noted=True):
        transitions.leave_event(job, now=now)


@prepared.select
def _ended(now: datetime, end: datetime, job_id: int) -> QuerySet[Job]:
    """In the order of the index of ends, so that a tick looks at no other job."""
    is_behind = Q(active_until__gt=end) | Q(active_until=end, pk__gt=job_id)
    rows = Job.objects.filter(is_behind, active_until__lte=now, is_over_noted=False)
    return rows.order_by("active_until", "pk")[:BATCH]


def next_end(*, now: datetime) -> datetime | None:
    """Return the next instant behind now; what has ended by then is left to the next pass."""
    return next(iter(_first_end(now)), None)


@prepared.select
def _first_end(now: datetime) -> QuerySet[Job, datetime | None]:
    rows = Job.objects.filter(active_until__gt=now, is_over_noted=False)
    return rows.order_by("active_until").values_list("active_until", flat=True)[:1]
