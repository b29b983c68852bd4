"""Which beats are alive, and which of them sends the ordinary periodic tasks.

Any number of beats may run the passes; a lease decides who alone sends what Celery schedules.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import QuerySet

from tasks_app.models import Scheduler

BEAT_EVERY = timedelta(seconds=2)
LIVE_FOR = timedelta(seconds=10)
LEASE = timedelta(seconds=10)
_FORGET_AFTER = timedelta(days=1)


def beat(name: str, *, now: datetime) -> None:
    """Enter the scheduler or renew its sign of life; forget those that died long ago."""
    _, is_new = Scheduler.objects.update_or_create(
        name=name,
        defaults={"beat_at": now},
        create_defaults={"started_at": now, "beat_at": now},
    )
    if is_new:
        Scheduler.objects.filter(beat_at__lt=now - _FORGET_AFTER).delete()


@transaction.atomic
def lease(name: str, *, now: datetime) -> bool:
    """Take or renew the lease; False: another scheduler holds it."""
    # Each has entered itself before it contends, so of two at least one meets the other's row here
    # and waits for it. No edit of a job holds any of these.
    list(Scheduler.objects.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    if Scheduler.objects.exclude(name=name).filter(lease_until__gt=now).exists():
        return False
    return bool(Scheduler.objects.filter(name=name).update(lease_until=now + LEASE))


def leave(name: str) -> None:
    """Forget the scheduler, and with it its lease."""
    Scheduler.objects.filter(name=name).delete()


def live(now: datetime) -> QuerySet[Scheduler]:
    """Return the schedulers that were heard of lately."""
    return Scheduler.objects.filter(beat_at__gt=now - LIVE_FOR)
