"""Ringing: which READY tasks the workers of a group are told of next, by the database's order.

The READY row is the outbox (X-4): it is stamped, committed, and only then is its id published.
A ring that nobody answered is repeated, later and later.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Count, Exists, F, Q, QuerySet

from jobs.models import WorkerGroup
from jobs.rules.enums import JobStatus
from sentinel_project import prepared
from sentinel_project.lookups import Among
from tasks_app import ledger, transitions, workers
from tasks_app.models import SystemState, Task
from tasks_app.rules.states import TaskStatus
from tasks_app.rules.timing import REPEAT_RING_AFTER


@dataclass(frozen=True, slots=True)
class Bell:
    """A task to be rung: its id goes into its group's queue."""

    task_id: int
    group_id: int
    priority: int


def ring(*, now: datetime, spared: int | None = None) -> list[Bell]:
    """Stamp as many READY tasks as the live slots of each group can take; return their bells.

    ``spared``: the group in which the caller is about to take the next task itself.
    """
    is_idle = len(_unrung(now, _lost_before(now))) <= (spared is not None)
    if is_idle or ledger.is_system_paused():
        return []
    slots = workers.live_slots(now)
    enabled = WorkerGroup.objects.filter(pk__in=slots, is_enabled=True)
    bells: list[Bell] = []
    for group_id in enabled.order_by("pk").values_list("pk", flat=True):
        bells += _ring_group(group_id, slots[group_id], now, spares=int(group_id == spared))
    return bells


@prepared.select
def _unrung(now: datetime, lost_before: Sequence[datetime]) -> QuerySet[Task, int]:
    """Return one or two tasks to be rung: how many more there are is asked only then."""
    rows = Task.objects.filter(status=TaskStatus.READY.value, ready_at__lte=now)
    return rows.filter(_is_unrung(lost_before)).values_list("pk", flat=True)[:2]


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
def _ring_group(group_id: int, slots: int, now: datetime, *, spares: int) -> list[Bell]:
    lost_before = _lost_before(now)
    taken = spares + sum(_running(group_id)) + sum(_on_the_way(group_id, now, lost_before))
    free = slots - taken
    if free <= 0:
        return []
    ready = Task.objects.filter(
        worker_group_id=group_id, status=TaskStatus.READY.value, ready_at__lte=now
    )
    candidates = startable(ready.filter(_is_unrung(lost_before)), now=now)
    locked = candidates.select_for_update(of=("self",), skip_locked=True, no_key=True)
    in_order = locked.order_by("-priority", "ready_at", "id")[spares : spares + free]
    rows = list(in_order.values_list("pk", "priority", "rung_at"))
    again = {pk: rung_at for pk, _, rung_at in rows if rung_at is not None}
    if rows:
        transitions.ring([pk for pk, _, _ in rows], unanswered=again, now=now)
    return [Bell(pk, group_id, priority) for pk, priority, _ in rows]


@prepared.select
def _running(group_id: int) -> QuerySet[Task, int]:
    rows = Task.objects.filter(worker_group_id=group_id, status=TaskStatus.RUNNING.value)
    return _counted(rows)


@prepared.select
def _on_the_way(
    group_id: int, now: datetime, lost_before: Sequence[datetime]
) -> QuerySet[Task, int]:
    """Count the rings that nobody has answered yet: a claim that a gate refused left a reason."""
    rows = Task.objects.filter(worker_group_id=group_id, status=TaskStatus.READY.value)
    rung = rows.filter(ready_at__lte=now, rung_at__isnull=False, reason="")
    return _counted(rung.exclude(_is_lost(lost_before)))


def _counted(rows: QuerySet[Task]) -> QuerySet[Task, int]:
    """Return a query of at most one row: how many there are in the one group."""
    return rows.values("worker_group").annotate(count=Count("pk")).values_list("count", flat=True)


def _lost_before(now: datetime) -> list[datetime]:
    """Return before which instant a ring counts as lost: the more often repeated, the later."""
    return [now - after for after in REPEAT_RING_AFTER]


def _is_unrung(lost_before: Sequence[datetime]) -> Q:
    return Q(rung_at__isnull=True) | _is_lost(lost_before)


def _is_lost(lost_before: Sequence[datetime]) -> Q:
    lost = Q(pk__in=[])
    last = len(REPEAT_RING_AFTER)
    for count, before in zip(range(1, last + 1), lost_before, strict=False):
        rung = Q(ring_count__gte=count) if count == last else Q(ring_count=count)
        lost |= rung & Q(rung_at__lte=before)
    return lost


def startable(ready: QuerySet[Task], *, now: datetime) -> QuerySet[Task]:
    """Leave out what the gates would refuse anyway, so that it takes no place in the queue."""
    allowed = Q(job__status=JobStatus.ACTIVE.value) | (
        Q(is_asked=True) & ~Q(job__status=JobStatus.TRASHED.value)
    )
    # What was tried before may be as late as it is (D-24): nothing but a ring would start it.
    too_late = Q(expires_at__lte=now, attempt_count=0)
    rows = ready.filter(allowed, job__app__is_enabled=True).exclude(too_late)
    busy = Task.objects.filter(status=TaskStatus.RUNNING.value, job__is_serial=True)
    is_busy = Q(job__is_serial=True) & Q(Among("job_id", busy.values("job_id")))
    is_full = Q(job__app__max_concurrency__gt=0) & Q(Among("job__app_id", _full_apps()))
    return rows.exclude(is_busy).exclude(is_full)


def _full_apps() -> QuerySet[Task, Any]:
    """Return the apps that run as many tasks as they may (D-80)."""
    running = Task.objects.filter(
        status=TaskStatus.RUNNING.value, job__app__max_concurrency__gt=0
    ).order_by()
    counted = running.values("job__app").annotate(running=Count("pk"))
    return counted.filter(running__gte=F("job__app__max_concurrency")).values("job__app")


def first_startable(group_id: int, *, now: datetime) -> Task | None:
    """Return the task of a group that is next in order, locked, unless nothing may start.

    What another worker is just taking is passed over. It comes with what a claim asks.
    """
    return next(iter(_first_startable(group_id, now)), None)


@prepared.select
def _first_startable(group_id: int, now: datetime) -> QuerySet[Task]:
    ready = Task.objects.filter(
        worker_group_id=group_id, status=TaskStatus.READY.value, ready_at__lte=now
    )
    is_paused = Exists(SystemState.objects.filter(is_paused=True))
    rows = startable(ready, now=now).filter(~is_paused, worker_group__is_enabled=True)
    locked = rows.select_for_update(of=("self",), skip_locked=True, no_key=True)
    return ledger.for_claim(locked).order_by("-priority", "ready_at", "id")[:1]
