"""Which workers are alive: they register, beat, and say when they stop (D-81)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet, Sum

from jobs.models import WorkerGroup
from sentinel_project import prepared
from tasks_app.models import Attempt, Worker
from tasks_app.rules.states import LIVE

logger = logging.getLogger(__name__)

BEAT_EVERY = timedelta(seconds=5)
#: Three missed beats and some slack.
LIVE_FOR = timedelta(seconds=18)


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What a worker says about itself."""

    name: str
    host: str
    pid: int
    pool: str
    slots: int
    group_ids: Sequence[int]
    containment: str
    #: For each jobType why it cannot be run here; empty: it can.
    job_types: Mapping[str, str] = field(default_factory=dict)


@transaction.atomic
def register(registration: Registration, *, now: datetime) -> Worker:
    """Enter the worker, or a new process under the name of an old one.

    Groups that do not exist are left out, with a warning, until a beat finds them.
    """
    worker, _ = Worker.objects.update_or_create(
        name=registration.name,
        defaults={
            "host": registration.host,
            "pid": registration.pid,
            "pool": registration.pool,
            "slots": registration.slots,
            "containment": registration.containment[:64],
            "job_types": dict(registration.job_types),
            "started_at": now,
            "beat_at": now,
            "stopped_at": None,
        },
    )
    groups = WorkerGroup.objects.filter(pk__in=registration.group_ids)
    worker.groups.set(groups)
    if unknown := set(registration.group_ids) - {group.pk for group in groups}:
        logger.warning("worker.groups_unknown", extra={"group_ids": sorted(unknown)})
    logger.info("worker.registered", extra={"worker": registration.name})
    return worker


def beat(registration: Registration, *, now: datetime) -> bool:
    """Renew the worker's sign of life; False: it is not registered, or another took its name."""
    rows = Worker.objects.filter(
        name=registration.name, pid=registration.pid, stopped_at__isnull=True
    )
    if not rows.update(beat_at=now):
        return False
    _join_new_groups(registration)
    return True


def _join_new_groups(registration: Registration) -> None:
    """Serve the groups that were made since: their queues are listened to from the start."""
    mine = WorkerGroup.objects.filter(pk__in=registration.group_ids)
    if new := list(mine.exclude(workers__name=registration.name)):
        Worker.objects.get(name=registration.name).groups.add(*new)
        logger.info("worker.groups_joined", extra={"group_ids": [group.pk for group in new]})


def stop(registration: Registration, *, now: datetime) -> None:
    """Note that the worker left in good order."""
    Worker.objects.filter(name=registration.name, pid=registration.pid).update(stopped_at=now)
    logger.info("worker.stopped", extra={"worker": registration.name})


def live(now: datetime) -> QuerySet[Worker]:
    """Return the workers that were heard of lately and have not stopped."""
    return _heard_of(now - LIVE_FOR)


def _heard_of(since: datetime) -> QuerySet[Worker]:
    return Worker.objects.filter(stopped_at__isnull=True, beat_at__gt=since)


def live_slots(now: datetime) -> dict[int, int]:
    """Return how many runs the live workers of each group can do at once."""
    return dict(_live_slots(now - LIVE_FOR))


@prepared.select
def _live_slots(since: datetime) -> QuerySet[Worker, tuple[Any, ...]]:
    rows = _heard_of(since).filter(groups__isnull=False).values_list("groups")
    return rows.annotate(Sum("slots")).order_by()


def running_on(names: Sequence[str]) -> dict[str, list[Attempt]]:
    """Return the live attempts of each of these workers, oldest first."""
    rows = Attempt.objects.filter(worker__in=names, status__in=[each.value for each in LIVE])
    found: dict[str, list[Attempt]] = {}
    for attempt in rows.select_related("task").order_by("pk"):
        found.setdefault(attempt.worker, []).append(attempt)
    return found
