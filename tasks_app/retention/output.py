"""Retention of output: what old runs printed leaves, and the runs stay (X-33)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.conf import settings
from django.db.models import Count, Min, Q, QuerySet

from logs_app import retention as output
from tasks_app.models import Attempt
from tasks_app.retention.halving import Halving
from tasks_app.rules.retention import ANY, narrower, parse

logger = logging.getLogger(__name__)

BATCH = 200


@dataclass(frozen=True, slots=True)
class Share:
    """What would leave of one job; ``oldest_at`` is when the first of these runs ended."""

    app: str
    job: str
    attempts: int
    size: int
    oldest_at: datetime


def preview(*, now: datetime) -> list[Share]:
    """Return what ``delete`` would delete now, job by job, in the order of their names."""
    shares = []
    for attempts in _expired(now):
        rows = attempts.order_by().values_list("task__job_id", "task__job__app__name")
        for job_id, app, job, count, oldest_at in rows.annotate(
            Min("task__job__name"), Count("pk"), Min("task__ended_at")
        ):
            ids = attempts.filter(task__job_id=job_id).values_list("pk", flat=True)
            shares.append(Share(app, job, count, output.size_of(ids), oldest_at))
    return sorted(shares, key=lambda share: (share.app, share.job))


def delete(*, now: datetime) -> int:
    """Delete what old runs printed, in short transactions; return how many bytes that was."""
    freed = 0
    batches = Halving(BATCH)
    for attempts in _expired(now):
        last: int | None = 0
        while last is not None:
            size, last = batches.do(partial(_empty, attempts, last))
            freed += size
    if freed:
        logger.info("output.deleted", extra={"bytes": freed})
    return freed


def _empty(attempts: QuerySet[Attempt], last: int, most: int) -> tuple[int, int | None]:
    """Empty the next attempts; return the bytes, and behind which to go on: None, all are done."""
    ids = list(_after(attempts, last)[:most])
    return (output.lighten(ids) + output.empty(ids), ids[-1]) if ids else (0, None)


def _after(attempts: QuerySet[Attempt], last: int) -> QuerySet[Attempt, int]:
    return attempts.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)


def _expired(now: datetime) -> Iterator[QuerySet[Attempt]]:
    """Yield the attempts of each rule whose task ended too long ago and that still have output."""
    table = parse(settings.SENTINEL_KEEP_OUTPUT)
    for key, days in table.items():
        rows = Attempt.objects.filter(_scope(key), task__ended_at__lt=now - timedelta(days=days))
        for other in narrower(key, table):
            rows = rows.exclude(_scope(other))
        yield rows.filter(pk__in=output.with_output())


def _scope(key: str) -> Q:
    app, _, job = key.partition("/")
    if key == ANY:
        return Q()
    named = Q(task__job__app__name=app)
    return named & Q(task__job__name=job) if job else named
