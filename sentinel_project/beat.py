"""The scheduler class inside ``celery beat``: runs the passes, rings, and sleeps until needed.

Any number of beats may run at once: the passes are safe against each other by constraints and
guarded moves, and a lease decides which beat sends the ordinary periodic tasks.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, TypeVar

from celery.beat import Service
from celery.signals import beat_init
from django.db import InterfaceError, OperationalError, connection
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import DatabaseScheduler

from sentinel_project import clock, dbfaults, memory, timekeeping
from tasks_app import notices, notifier, planner, rescuer, schedulers, wakeup
from tasks_app.celery_tasks import RINGER, SWEEP
from tasks_app.rules.notices import SystemEvent
from tasks_app.rules.steadiness import Steadiness

logger = logging.getLogger(__name__)

T = TypeVar("T")

#: Keeps a pass that cannot do what is due from spinning.
_SHORTEST_SLEEP = timedelta(milliseconds=10)
_RESCUE_EVERY = timedelta(seconds=3)
_REASONS_EVERY = timedelta(seconds=2)
_LONGEST_PAUSE = timedelta(seconds=5)
_DOUBT_EVERY = timedelta(seconds=10)


class Scheduler(DatabaseScheduler):  # type: ignore[misc]
    """Ticks: planner's passes, rescuer, ring, then Celery's own periodic tasks."""

    #: Without one, each periodic task is published through the pool and its deadlines; the one of
    #: the base class would wait for a lost broker for ever.
    producer = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._name = f"{socket.gethostname()}.{os.getpid()}"
        self._listener = wakeup.Listener()
        self._pacer = Pacer()
        self._rescuer = rescuer.Rescuer()
        self._reasons = planner.ReasonRound()
        self.notifier = notifier.Notifier()
        self._steadiness: Steadiness | None = None
        self._has_lease = False
        self._pause = _SHORTEST_SLEEP
        self._is_database_lost = False
        self._is_stopping = False
        self._is_asleep = False
        super().__init__(*args, **kwargs)  # enters the housekeeping, and may have to wait for it

    def setup_schedule(self) -> None:
        """Wait for the database, which may come later than beat, and enter the housekeeping."""
        while not self._is_set_up():
            self.take_signals()  # Celery's own handler would wait for the database as well
            self._is_database_lost = True
            self._sleep(None)

    def _is_set_up(self) -> bool:
        try:
            self._enter_housekeeping()
            super().setup_schedule()
        except (OperationalError, InterfaceError):
            logger.exception("beat.database_failed", extra={"pass": "setup"})
            connection.close()
            return False
        return True

    def _enter_housekeeping(self) -> None:
        """Enter it once; from then on it is edited and switched in the admin.

        Two beats may start for the first time at once. Equal intervals may exist, theirs or an
        operator's, for the library has no constraint against them; of the task one is kept.
        """
        words = {"every": 10, "period": IntervalSchedule.MINUTES}
        every = IntervalSchedule.objects.filter(**words).first()
        every = every or IntervalSchedule.objects.create(**words)
        own = PeriodicTask(name=SWEEP, task=SWEEP, interval=every)
        PeriodicTask.objects.bulk_create([own], ignore_conflicts=True)

    def tick(self, *_: Any, **__: Any) -> float:
        """Do all that is due, then sleep until the next instant or a commit that signalled."""
        self._listener.mark()
        self._is_database_lost = False
        self._try("clock", timekeeping.agree)
        now = clock.now()
        next_at = self._try("plan", lambda: self._plan(now))
        if self._pacer.is_time("rescue", _RESCUE_EVERY):
            self._try("rescue", lambda: self._rescuer.run_once(now=clock.now()))
        self._try("ring", lambda: RINGER.ring(now=clock.now()))
        if self._pacer.is_time("reasons", _REASONS_EVERY):
            self._try("reasons", lambda: self._reasons.go_on(now=clock.now()))
        if self._pacer.is_time("beat", schedulers.BEAT_EVERY):
            self._try("beat", self._beat)
        if self._has_lease and self._pacer.is_time("periodic", wakeup.LONGEST_SLEEP):
            self._try("periodic", self._send_periodic_tasks)
        self._sleep(next_at)
        return 0.0

    def close(self) -> None:
        """Leave in good order; called once beat has stopped ticking."""
        super().close()
        self.notifier.stop()
        self._try("leave", lambda: schedulers.leave(self._name))
        self._listener.close()

    def take_signals(self) -> None:
        """Stop at once while asleep, and after the pass while at work: never inside a commit."""

        def stop(*_: object) -> None:
            if self._is_asleep or self._is_stopping:
                raise SystemExit
            self._is_stopping = True

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)

    def _plan(self, now: datetime) -> datetime | None:
        """Run the passes; a clock that jumped ahead opens nothing until it is proved (X-9)."""
        is_steady = self._is_steady(now)
        next_at = planner.run_passes(now=now, opens=is_steady, clock=clock.now)
        if is_steady:
            return next_at
        if self._pacer.is_time("doubt", _DOUBT_EVERY):
            logger.error("clock.doubtful", extra={"now": now.isoformat()})
            self._tell_of_clock(now)
        return None  # what is due is not opened, so it must not keep us awake

    def _is_steady(self, now: datetime) -> bool:
        """Tell whether ``now``, the database's time where it has one, can be acted upon."""
        if self._steadiness is None:
            self._steadiness = Steadiness(now, clock.monotonic())
        if self._steadiness.is_steady(now, clock.monotonic()):
            return True
        is_confirmed = timekeeping.is_backed_by_host(now)
        return self._steadiness.is_steady(now, clock.monotonic(), is_confirmed=is_confirmed)

    def _tell_of_clock(self, now: datetime) -> None:
        said = f"the clock reads {now.isoformat()} after a jump; until it is proved nothing opens"
        once = f"{self._name} {now:%Y-%m-%dT%H}"
        notices.tell(SystemEvent.CLOCK_DOUBTFUL, f"beat {self._name}", said, once=once, now=now)

    def _try(self, name: str, work: Callable[[], T]) -> T | None:
        """Run a pass; whatever it raises is logged and must not keep the others from running.

        A lost database is dropped, so that the next tick connects afresh. A database that only
        refused a statement is not lost: the workers could beat all the while.
        """
        if self._is_database_lost:
            return None
        try:
            return work()
        except Exception as error:
            if dbfaults.is_lost(error):
                logger.exception("beat.database_failed", extra={"pass": name})
                self._is_database_lost = True
                self._rescuer.start_anew()
                connection.close()
            else:
                logger.exception("beat.pass_failed", extra={"pass": name})
        return None

    def _beat(self) -> None:
        schedulers.beat(self._name, now=clock.now())
        had_lease, self._has_lease = self._has_lease, schedulers.lease(self._name, now=clock.now())
        if self._has_lease and not had_lease:
            # Read again what the last holder sent, and when.
            self._initial_read, self._heap = True, None

    def _send_periodic_tasks(self) -> None:
        while super().tick() == 0:
            continue

    def _sleep(self, next_at: datetime | None) -> None:
        self._is_asleep = True
        try:
            if self._is_stopping:
                raise SystemExit
            if self._is_database_lost:
                self._pause = min(self._pause * 2, _LONGEST_PAUSE)
                threading.Event().wait(self._pause.total_seconds())
            else:
                self._pause = _SHORTEST_SLEEP
                self._listener.wait(sleep_until(next_at, clock.now()).total_seconds())
        finally:
            self._is_asleep = False


def sleep_until(next_at: datetime | None, now: datetime) -> timedelta:
    """Return how long beat may sleep when the next thing it knows of is at ``next_at``."""
    if next_at is None:
        return wakeup.LONGEST_SLEEP
    return max(_SHORTEST_SLEEP, min(next_at - now, wakeup.LONGEST_SLEEP))


class Pacer:
    """Tells when it is time again for what need not happen at every tick."""

    def __init__(self) -> None:
        self._last: dict[str, float] = {}

    def is_time(self, name: str, every: timedelta) -> bool:
        """Tell whether ``name`` was not done within ``every``; if so, it counts as done now."""
        now = clock.monotonic()
        if name in self._last and now - self._last[name] < every.total_seconds():
            return False
        self._last[name] = now
        return True


@beat_init.connect
def take_signals(sender: Service, **_: Any) -> None:
    """Replace Celery's handler: it would write to the database in the middle of a pass."""
    memory.settle()
    if isinstance(sender.scheduler, Scheduler):
        sender.scheduler.take_signals()
        sender.scheduler.notifier.start()
