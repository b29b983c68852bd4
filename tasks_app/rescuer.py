"""Rescue: attempts whose worker gave no sign of life are taken back (3-execution.md 3)."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import Error as DatabaseError

from sentinel_project import clock
from tasks_app import transitions
from tasks_app.models import Attempt
from tasks_app.rules.states import LIVE, AttemptStatus, Reason
from tasks_app.rules.timing import Lease

logger = logging.getLogger(__name__)

BATCH = 200
_LIVE = [status.value for status in LIVE]


class Rescuer:
    """Takes over only after a warm-up of one lease since its start or the last database error.

    Otherwise the end of a database outage, in which nobody could beat, would look like the death
    of every worker at once.
    """

    def __init__(self) -> None:
        self._quiet_since = clock.monotonic()

    def run_once(self, *, now: datetime) -> int:
        """Rescue what is overdue; return how many attempts were taken over."""
        lease = Lease(settings.SENTINEL_LEASE, settings.SENTINEL_HEARTBEAT)
        try:
            if clock.monotonic() - self._quiet_since < lease.length.total_seconds():
                return 0
            return rescue_overdue(lease.grace, now=now)
        except DatabaseError:
            self._quiet_since = clock.monotonic()
            raise


def rescue_overdue(grace: timedelta, *, now: datetime) -> int:
    """Take back every live attempt whose lease ended more than ``grace`` ago."""
    overdue = Attempt.objects.filter(status__in=_LIVE, lease_until__lt=now - grace)
    attempts = list(overdue.select_related("task").order_by("lease_until")[:BATCH])
    return sum(_rescue(attempt, now) for attempt in attempts)


def _rescue(attempt: Attempt, now: datetime) -> bool:
    text = f"the worker {attempt.worker} was not heard of since {attempt.lease_until:%H:%M:%S} UTC"
    ending = transitions.Ending(status=AttemptStatus.LOST, reason=Reason.LOST, text=text)
    task = transitions.rescue(attempt, ending, now=now)
    if task is None:
        return False
    logger.warning(
        "attempt.lost",
        extra={"task_id": task.pk, "attempt": attempt.number, "worker": attempt.worker},
    )
    return True
