"""The heart of a worker process: one thread that keeps all of its attempts alive and obedient.

Every heartbeat renews the leases of the attempts this process runs, in one statement; every
second it asks which of them are to be killed or were taken away; several times a second it
carries to the database what they printed. A process that cannot confirm a beat in time gives its
attempts up before anybody else may take them (3-execution.md 3).
"""

from __future__ import annotations

import logging
import os
import threading

from django.db import Error as DatabaseError
from django.db import connection

from logs_app import store
from sentinel_project import clock
from tasks_app.executors.base import Stop, StopReason
from tasks_app.models import Attempt
from tasks_app.rules.states import LIVE
from tasks_app.rules.timing import Lease

logger = logging.getLogger(__name__)

_LIVE = [status.value for status in LIVE]
_TICK = 0.2
_LOOK_EVERY = 1.0


class Charge:
    """An attempt in the heart's care."""

    def __init__(self, attempt: Attempt, writer: store.Writer, stop: Stop) -> None:
        self.attempt_id = attempt.pk
        self.task_id = attempt.task_id
        self.writer = writer
        self.stop = stop
        self.confirmed_at = clock.monotonic()


class Heart:
    """Beats for the attempts of one process; the thread ends when there are none left."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self._lock = threading.Lock()
        self._charges: dict[int, Charge] = {}
        self._thread: threading.Thread | None = None
        self._wake = threading.Event()
        self._beat_at = 0.0
        self._looked_at = 0.0

    def take(self, charge: Charge) -> None:
        """Care for an attempt from now on."""
        with self._lock:
            self._charges[charge.attempt_id] = charge
            if self._thread is None:
                self._beat_at = self._looked_at = clock.monotonic()
                self._wake.clear()
                self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
                self._thread.start()

    def drop(self, charge: Charge) -> None:
        with self._lock:
            self._charges.pop(charge.attempt_id, None)
            if not self._charges:
                self._wake.set()

    def stop_all(self, reason: StopReason) -> None:
        """Ask everything that runs in this process to end."""
        for charge in self._all():
            charge.stop.request(reason)

    def _all(self) -> list[Charge]:
        with self._lock:
            return list(self._charges.values())

    def _run(self) -> None:
        try:
            while self._has_charges():
                self._beat(self._all())
                self._wake.wait(_TICK)
        finally:
            connection.close()

    def _has_charges(self) -> bool:
        with self._lock:
            if self._charges:
                self._wake.clear()
                return True
            self._thread = None
            return False

    def _beat(self, charges: list[Charge]) -> None:
        now = clock.monotonic()
        try:
            for charge in charges:
                _flush(charge)
            if now - self._beat_at >= self.lease.heartbeat.total_seconds():
                self._renew(charges)
                self._beat_at = now
            if now - self._looked_at >= _LOOK_EVERY:
                self._look(charges)
                self._looked_at = now
        except DatabaseError:
            logger.exception("heart.database_failed", extra={"attempts": len(charges)})
            connection.close()
        self._give_up(charges)

    def _renew(self, charges: list[Charge]) -> None:
        mine = [charge.attempt_id for charge in charges]
        rows = Attempt.objects.filter(pk__in=mine, status__in=_LIVE)
        rows.update(lease_until=clock.now() + self.lease.length)

    def _look(self, charges: list[Charge]) -> None:
        """Confirm what is still ours, pass on kill requests, and fence what was taken away."""
        asked_at = clock.monotonic()
        mine = [charge.attempt_id for charge in charges]
        live = dict(
            Attempt.objects.filter(pk__in=mine, status__in=_LIVE).values_list(
                "pk", "task__kill_requested_at"
            )
        )
        for charge in charges:
            if charge.attempt_id not in live:
                charge.stop.request(StopReason.FENCED)
                continue
            charge.confirmed_at = asked_at
            if live[charge.attempt_id] is not None:
                charge.stop.request(StopReason.KILL)

    def _give_up(self, charges: list[Charge]) -> None:
        limit = self.lease.gives_up_after.total_seconds()
        for charge in charges:
            if clock.monotonic() - charge.confirmed_at > limit:
                logger.error("attempt.given_up", extra={"task_id": charge.task_id})
                charge.stop.request(StopReason.FENCED)


def _flush(charge: Charge) -> None:
    try:
        charge.writer.flush_due()
    except store.Fenced:
        charge.stop.request(StopReason.FENCED)


_hearts: dict[int, Heart] = {}


def of_this_process(lease: Lease) -> Heart:
    """Return the process's own heart; a forked pool child does not share its parent's."""
    return _hearts.setdefault(os.getpid(), Heart(lease))
