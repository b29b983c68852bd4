"""The heart of a worker process: one thread that keeps all of its attempts alive and obedient.

Every heartbeat renews the leases of the attempts this process runs, in one statement and by the
database's clock; every second it asks which of them are to be killed or were taken away; several
times a second it carries to the database what they printed. A second thread, which never meets the
database and so cannot hang with it, gives attempts up whose last beat is too long ago, before
anybody else may take them (3-execution.md 3).
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable

from django.db import Error as DatabaseError
from django.db import connection, connections
from django.db.models.functions import Now

from logs_app import store
from sentinel_project import clock, timekeeping
from tasks_app.executors.base import Stop, StopReason
from tasks_app.models import Attempt
from tasks_app.rules.states import LIVE
from tasks_app.rules.timing import Lease

logger = logging.getLogger(__name__)

_LIVE = [status.value for status in LIVE]
_TICK = 0.2
_LOOK_EVERY = 1.0
#: A thread without attempts stays so long, for the next one may come in a moment.
_LINGER = 2.0
#: A connection is kept over a short run, for making another takes longer than a task.
_CONNECTION_RESTS_FOR = 3.0


class Resting:
    """The connection of a thread that is busy with content: closed if that takes long.

    An attempt may take hours, and a worker may have hundreds.
    """

    def __init__(self) -> None:
        self._wrapper = connections["default"]
        self._lock = threading.Lock()
        self._since: float | None = None

    def __enter__(self) -> None:
        if not self._wrapper.in_atomic_block:
            self._wrapper.inc_thread_sharing()
            self._since = clock.monotonic()

    def __exit__(self, *_: object) -> None:
        with self._lock:
            if self._since is not None:
                self._since = None
                self._wrapper.dec_thread_sharing()

    def close_if_long(self) -> None:
        """Called from another thread; the owner waits if it comes back just now."""
        with self._lock:
            if self._since is not None and clock.monotonic() > self._since + _CONNECTION_RESTS_FOR:
                self._wrapper.close()


class Charge:
    """An attempt in the heart's care; ``confirmed_at``: when its last sure lease was asked for."""

    def __init__(
        self, attempt: Attempt, writer: store.Writer, stop: Stop, confirmed_at: float
    ) -> None:
        self.attempt_id = attempt.pk
        self.task_id = attempt.task_id
        self.writer = writer
        self.stop = stop
        self.resting = Resting()
        self.confirmed_at = confirmed_at


class Heart:
    """Beats for the attempts of one process; its threads end when none came for a while."""

    def __init__(self, lease: Lease) -> None:
        self.lease = lease
        self._lock = threading.Lock()
        self._charges: dict[int, Charge] = {}
        self._thread: threading.Thread | None = None
        self._watcher: threading.Thread | None = None
        self._busy_at = 0.0
        self._beat_at = 0.0
        self._looked_at = 0.0

    def take(self, charge: Charge) -> None:
        """Care for an attempt from now on; a thread that is not there, or is dead, is made anew."""
        with self._lock:
            self._charges[charge.attempt_id] = charge
            if self._thread is None:
                self._busy_at = self._beat_at = self._looked_at = clock.monotonic()
            if not _lives(self._thread):
                self._thread = _started(self._run, "heart")
            if not _lives(self._watcher):
                self._watcher = _started(self._watch, "watch")

    def drop(self, charge: Charge) -> None:
        with self._lock:
            self._charges.pop(charge.attempt_id, None)

    def stop_all(self, reason: StopReason) -> None:
        """Ask everything that runs in this process to end."""
        for charge in self._all():
            charge.stop.request(reason)

    def _all(self) -> list[Charge]:
        with self._lock:
            return list(self._charges.values())

    def _run(self) -> None:
        try:
            _repeat(lambda: self._beat(self._all()), self._is_needed)
        finally:
            connection.close()

    def _is_needed(self) -> bool:
        now = clock.monotonic()
        with self._lock:
            if self._charges:
                self._busy_at = now
            elif now > self._busy_at + _LINGER:
                self._thread = None
                return False
            return True

    def _watch(self) -> None:
        _repeat(lambda: self._give_up(self._all()), self._is_watched)

    def _is_watched(self) -> bool:
        with self._lock:
            if self._thread is None:
                self._watcher = None
            return self._watcher is not None

    def _beat(self, charges: list[Charge]) -> None:
        try:
            self._renew_if_due(charges)
            if charges and clock.monotonic() - self._looked_at >= _LOOK_EVERY:
                self._looked_at = clock.monotonic()
                self._look(charges)
            for charge in charges:
                charge.resting.close_if_long()
                _flush(charge)
                self._renew_if_due(charges)  # hundreds of floods must not make the beat late
        except DatabaseError:
            logger.exception("heart.database_failed", extra={"attempts": len(charges)})
            connection.close()

    def _renew_if_due(self, charges: list[Charge]) -> None:
        asked_at = clock.monotonic()
        if not charges or asked_at - self._beat_at < self.lease.heartbeat.total_seconds():
            return
        mine = [charge.attempt_id for charge in charges]
        rows = Attempt.objects.filter(pk__in=mine, status__in=_LIVE)
        renewed = rows.update(lease_until=Now() + self.lease.length)
        self._beat_at = asked_at
        kept = charges if renewed == len(charges) else self._look(charges)
        for charge in kept:
            charge.confirmed_at = asked_at
            charge.stop.renew()
        timekeeping.keep_agreeing()

    def _look(self, charges: list[Charge]) -> list[Charge]:
        """Pass on kill requests, fence what was taken away, and return what is still ours."""
        mine = [charge.attempt_id for charge in charges]
        live = dict(
            Attempt.objects.filter(pk__in=mine, status__in=_LIVE).values_list(
                "pk", "task__kill_requested_at"
            )
        )
        kept = [charge for charge in charges if charge.attempt_id in live]
        for charge in charges:
            if charge not in kept:
                charge.stop.request(StopReason.FENCED)
            elif live[charge.attempt_id] is not None:
                charge.stop.request(StopReason.KILL)
        return kept

    def _give_up(self, charges: list[Charge]) -> None:
        limit = self.lease.gives_up_after.total_seconds()
        for charge in charges:
            is_late = clock.monotonic() - charge.confirmed_at > limit
            if is_late and charge.stop.reason is not StopReason.FENCED:
                logger.error("attempt.given_up", extra={"task_id": charge.task_id})
                charge.stop.request(StopReason.FENCED)


def _flush(charge: Charge) -> None:
    try:
        charge.writer.flush_due()
    except store.Fenced:
        charge.stop.request(StopReason.FENCED)
    except DatabaseError:
        raise
    except Exception:  # such as a disk that does not give back what was spilled: no other waits
        logger.exception("heart.not_flushed", extra={"task_id": charge.task_id})


def _lives(thread: threading.Thread | None) -> bool:
    return thread is not None and thread.is_alive()


def _started(target: Callable[[], None], name: str) -> threading.Thread:
    thread = threading.Thread(target=target, name=name, daemon=True)
    thread.start()
    return thread


def _repeat(step: Callable[[], None], is_needed: Callable[[], bool]) -> None:
    """Do a step again and again, whatever one of them meets: no other thread would do it."""
    pause = threading.Event()
    while is_needed():
        try:
            step()
        except Exception:
            logger.exception("heart.step_failed")
        pause.wait(_TICK)


_hearts: dict[int, Heart] = {}


def of_this_process(lease: Lease) -> Heart:
    """Return the process's own heart; a forked pool child does not share its parent's."""
    return _hearts.setdefault(os.getpid(), Heart(lease))
