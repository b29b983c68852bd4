"""Rescue: attempts whose worker gave no sign of life are taken back (3-execution.md 3)."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models.functions import Now

from sentinel_project import clock, dbfaults
from sentinel_project.clock import Clock
from tasks_app import transitions
from tasks_app.models import Attempt, SystemState
from tasks_app.rules.states import LIVE, AttemptStatus, Reason
from tasks_app.rules.timing import Lease

logger = logging.getLogger(__name__)

BATCH = 200
#: More than clocks drift, or a query takes, between two runs.
_JUMP = timedelta(seconds=3)
_LIVE = [status.value for status in LIVE]


class Rescuer:
    """Takes over only after a warm-up of one lease since its start or the last trouble.

    Otherwise the end of a database outage, in which nobody could beat, would look like the death
    of every worker at once. Trouble is a database error anywhere in this process, a silence of our
    own so long that workers gave up meanwhile (a database that hung raises no error), and a
    database clock that jumped against our monotonic one.
    """

    def __init__(
        self,
        monotonic: Callable[[], float] = clock.monotonic,
        database_clock: Clock | None = None,
    ) -> None:
        self._monotonic = monotonic
        self._database_clock = database_clock or database_now
        self._quiet_since = self._ran_at = monotonic()
        self._course: datetime | None = None

    def run_once(self, *, now: datetime) -> int:
        """Rescue what is overdue; return how many attempts were taken over."""
        lease = Lease(settings.SENTINEL_LEASE, settings.SENTINEL_HEARTBEAT)
        last_at, self._ran_at = self._ran_at, self._monotonic()
        was_away = self._ran_at - last_at > lease.gives_up_after.total_seconds()
        if self._has_jumped() or was_away:
            self.start_anew()
        if self._monotonic() - self._quiet_since < lease.length.total_seconds():
            return 0
        return rescue_overdue(lease.grace, now=now)

    def start_anew(self) -> None:
        """Begin the warm-up again, for there was trouble."""
        self._quiet_since = self._monotonic()

    def _has_jumped(self) -> bool:
        course = self._database_clock() - timedelta(seconds=self._monotonic())
        former, self._course = self._course, course
        return former is not None and abs(course - former) > _JUMP


def database_now() -> datetime:
    """Return the instant on the clock by which leases are counted."""
    (now,) = SystemState.objects.values_list(Now())[0]
    assert isinstance(now, datetime)
    return now


def rescue_overdue(grace: timedelta, *, now: datetime) -> int:
    """Take back every live attempt whose lease ended over ``grace`` ago by the database's clock."""
    overdue = Attempt.objects.filter(status__in=_LIVE, lease_until__lt=Now() - grace)
    attempts = list(overdue.select_related("task").order_by("lease_until")[:BATCH])
    return sum(_rescue_apart(attempt, now) for attempt in attempts)


def _rescue_apart(attempt: Attempt, now: datetime) -> bool:
    """Rescue one; if that raises, the others are rescued all the same."""
    try:
        return _rescue(attempt, now)
    except Exception as error:
        if dbfaults.is_lost(error):
            raise
        logger.exception("attempt.not_rescued", extra={"task_id": attempt.task_id})
        return False


def _rescue(attempt: Attempt, now: datetime) -> bool:
    ended_at = f"{attempt.lease_until:%H:%M:%S} UTC"
    text = f"the worker {attempt.worker} gave no sign of life: its lease ended at {ended_at}"
    ending = transitions.Ending(status=AttemptStatus.LOST, reason=Reason.LOST, text=text)
    task = transitions.rescue(attempt, ending, now=now)
    if task is None:
        return False
    logger.warning(
        "attempt.lost",
        extra={"task_id": task.pk, "attempt": attempt.number, "worker": attempt.worker},
    )
    return True
