"""Ringing: which READY tasks the workers of a group are told of next, by the database's order.

The READY row is the outbox (X-4): it is stamped, committed, and only then is its id published.
A ring that nobody answered is repeated, later and later.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count, F, Q, QuerySet

from jobs.models import App, WorkerGroup
from jobs.rules.enums import JobStatus
from sentinel_project import prepared
from tasks_app import ledger, transitions, workers
from tasks_app.models import Task
from tasks_app.rules.states import TaskStatus
from tasks_app.rules.timing import REPEAT_RING_AFTER


@dataclass(frozen=True, slots=True)
class Bell:
    """A task to be rung: its id goes into its group's queue."""

    task_id: int
    group_id: int
    priority: int


def ring(*, now: datetime) -> list[Bell]:
    """Stamp as many READY tasks as the live slots of each group can take; return their bells."""
    if ledger.is_system_paused():
        return []
    slots = workers.live_slots(now)
    enabled = WorkerGroup.objects.filter(pk__in=slots, is_enabled=True)
    bells: list[Bell] = []
    for group_id in enabled.order_by("pk").values_list("pk", flat=True):
        bells += _ring_group(group_id, slots[group_id], now)
    return bells


def next_ready(*, now: datetime) -> datetime | None:
    """Return when the next READY task that waits out an interval may start."""
    return next(iter(_next_ready(now)), None)


@prepared.select
def _next_ready(now: datetime) -> QuerySet[Task, datetime | None]:
    rows = Task.objects.filter(status=TaskStatus.READY.value, ready_at__gt=now)
    return rows.order_by("ready_at").values_list("ready_at", flat=True)[:1]


@prepared.select
def ready_now(now: datetime) -> QuerySet[Task, int]:
    """Return the ids of what may start as far as its own row tells, in order of dispatch."""
    rows = Task.objects.filter(status=TaskStatus.READY.value, ready_at__lte=now)
    return rows.order_by("-priority", "ready_at", "id").values_list("pk", flat=True)


@transaction.atomic
def _ring_group(group_id: int, slots: int, now: datetime) -> list[Bell]:
    ready = Task.objects.filter(
        worker_group_id=group_id, status=TaskStatus.READY.value, ready_at__lte=now
    )
    unanswered = _unanswered(now)
    candidates = startable(ready.filter(Q(rung_at__isnull=True) | unanswered), now=now)
    if not candidates.exists():
        return []
    running = Task.objects.filter(worker_group_id=group_id, status=TaskStatus.RUNNING.value).count()
    on_the_way = ready.filter(rung_at__isnull=False).exclude(unanswered).count()
    free = slots - running - on_the_way
    if free <= 0:
        return []
    locked = candidates.select_for_update(of=("self",), skip_locked=True)
    in_order = locked.order_by("-priority", "ready_at", "id")[:free]
    rows = list(in_order.values_list("pk", "priority", "rung_at"))
    again = {pk: rung_at for pk, _, rung_at in rows if rung_at is not None}
    transitions.ring([pk for pk, _, _ in rows], unanswered=again, now=now)
    return [Bell(pk, group_id, priority) for pk, priority, _ in rows]


def _unanswered(now: datetime) -> Q:
    """Rings that count as lost: the more often repeated, the longer they are waited for."""
    lost = Q(pk__in=[])
    for count, after in enumerate(REPEAT_RING_AFTER, start=1):
        is_last = count == len(REPEAT_RING_AFTER)
        rung = Q(ring_count__gte=count) if is_last else Q(ring_count=count)
        lost |= rung & Q(rung_at__lte=now - after)
    return lost


def startable(ready: QuerySet[Task], *, now: datetime) -> QuerySet[Task]:
    """Leave out what the gates would refuse anyway, so that it takes no place in the queue."""
    allowed = Q(job__status=JobStatus.ACTIVE.value) | (
        Q(is_asked=True) & ~Q(job__status=JobStatus.TRASHED.value)
    )
    rows = ready.filter(allowed, job__app__is_enabled=True).exclude(expires_at__lte=now)
    full = _full_apps()
    if full:
        rows = rows.exclude(job__app_id__in=full)
    busy = Task.objects.filter(status=TaskStatus.RUNNING.value, job__is_serial=True)
    return rows.exclude(job__is_serial=True, job_id__in=busy.values("job_id"))


def _full_apps() -> list[int]:
    """Return the apps that run as many tasks as they may (D-80)."""
    running = Count("jobs__tasks", filter=Q(jobs__tasks__status=TaskStatus.RUNNING.value))
    limited = App.objects.filter(max_concurrency__gt=0)
    if not limited.exists():
        return []
    full = limited.annotate(running=running).filter(running__gte=F("max_concurrency"))
    return list(full.values_list("pk", flat=True))
