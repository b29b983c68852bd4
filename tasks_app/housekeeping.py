"""Housekeeping: rows that have done their work leave, in batches, so that hot tables stay small.

What old runs printed leaves by SENTINEL_KEEP_OUTPUT, and runs themselves by SENTINEL_KEEP_TASKS.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db.models import Model, QuerySet

from jobs.models import Artifact, RequestRecord
from tasks_app.models import Delivery, Event, Worker
from tasks_app.retention import output, tasks

logger = logging.getLogger(__name__)

BATCH = 1000
#: Processed events are of use to whoever asks what happened lately.
_EVENTS_AFTER = timedelta(days=1)
#: Far beyond the window in which a token, and so a request, can be repeated (W-13).
_ANSWERS_AFTER = timedelta(days=1)
#: Uploads that somebody began and did not end.
_UNFINISHED_AFTER = timedelta(days=1)
_WORKERS_AFTER = timedelta(days=7)
#: Who was told what is of use to whoever asks why nobody came.
_DELIVERIES_AFTER = timedelta(days=30)
#: Runs that leave in one sweep: years of them must not keep the next one waiting.
_MOST_TASKS = 20_000


def sweep(*, now: datetime) -> int:
    """Delete what nobody asks for any more; return how many rows that were."""
    gone = (
        _delete(Event.objects.filter(processed_at__lt=now - _EVENTS_AFTER))
        + _delete(RequestRecord.objects.filter(created_at__lt=now - _ANSWERS_AFTER))
        + _delete(
            Artifact.objects.filter(
                completed_at__isnull=True, created_at__lt=now - _UNFINISHED_AFTER
            )
        )
        + _delete(Delivery.objects.filter(ended_at__lt=now - _DELIVERIES_AFTER))
        + _delete(Worker.objects.filter(beat_at__lt=now - _WORKERS_AFTER))
    )
    output.delete(now=now)
    tasks.delete(now=now, most=_MOST_TASKS)
    logger.info("housekeeping.swept", extra={"rows": gone})
    return gone


def _delete(rows: QuerySet[Model]) -> int:
    """Delete in short transactions, so that nobody waits for a long one."""
    gone = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:BATCH]):
        rows.model._default_manager.filter(pk__in=ids).delete()
        gone += len(ids)
    return gone
