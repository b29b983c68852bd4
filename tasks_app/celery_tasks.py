"""The Celery tasks: run one task's attempt, and let go what waited for it.

They are doorbells (X-4): a lost, doubled or late message changes when a thing happens, never what.
"""

from __future__ import annotations

import logging
import math
import threading
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from celery import Task
from django.conf import settings
from kombu.exceptions import OperationalError as BrokerError

from sentinel_project import broker, clock, timekeeping
from sentinel_project.celery import app, queue_for
from tasks_app import dispatcher, housekeeping, planner, runner
from tasks_app.rules.states import Finder
from tasks_app.turns import Finished, Turn

logger = logging.getLogger(__name__)

SWEEP = "sentinel.sweep"
#: A longer wait is rung by beat (X-6): a message with a countdown sits in a worker's memory.
_LONGEST_COUNTDOWN = timedelta(seconds=60)
#: Goes through to the transport; those without confirms ignore it.
_CONFIRMED: dict[str, Any] = {"confirm_timeout": broker.DEADLINE}
#: Seconds that one message may keep a slot busy with the tasks after its own.
_TURN = 1.0
#: Seconds for which a broker that did not answer is left alone.
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 8.0
#: Unsent bells beyond it are dropped: the rescuer rings again what stays READY.
_UNSENT_MAX = 1000


@app.task(bind=True, name="sentinel.run_task")
def run_task(self: Task[..., None], task_id: int, group_id: int | None = None) -> None:
    """Run one attempt on this worker, then what is next in the group for as long as a turn lasts.

    Celery's retry is the bell of the next attempt (X-6).
    """
    timekeeping.keep_agreeing()
    worker = self.request.hostname or ""
    turn = None if group_id is None else Turn(group_id, clock.monotonic() + _TURN)
    finished = runner.run(task_id, worker=worker, clock=clock.now, turn=turn)
    if _is_rung_by_retry(finished) and finished.task_id in {None, task_id}:
        trigger_dependents()
        assert finished.retry_in is not None
        # A message may be older than the budget it is counted against: the table decides, so the
        # limit never stops a bell.
        limit = max(finished.max_retries, self.request.retries + 1)
        raise self.retry(countdown=finished.retry_in.total_seconds(), max_retries=limit)
    if turn is not None:
        _go_on(finished, turn, worker)
    trigger_dependents()


def _go_on(finished: Finished, turn: Turn, worker: str) -> None:
    """Run what is next, after ``finished``, until the turn is over or nothing is left."""
    while True:
        if _is_rung_by_retry(finished) and finished.task_id is not None:
            # Too early on purpose: whoever hears it has Celery retry that very task.
            RINGER.add(dispatcher.Bell(finished.task_id, turn.group_id, 0))
        if finished.is_last or not turn.lasts():
            return
        if finished.is_awaited:
            trigger_dependents(spared=turn.group_id)
        finished = runner.run_next(turn, worker=worker, clock=clock.now)


def _is_rung_by_retry(finished: Finished) -> bool:
    return finished.retry_in is not None and finished.retry_in <= _LONGEST_COUNTDOWN


@app.task(name="sentinel.trigger_dependents")
def trigger_dependents(spared: int | None = None) -> None:
    """Release what waited for the tasks that ended, and ring it from here (X-7).

    ``spared`` is the group in which the caller goes on by itself. Whatever goes wrong here, the
    events are still there and beat does the same.
    """
    try:
        planner.process_events(by=Finder.TRIGGER, now=clock.now(), clock=clock.now)
        RINGER.ring(now=clock.now(), spared=spared)
    except Exception:
        logger.exception("dependents.not_triggered")


@app.task(name=SWEEP)
def sweep() -> None:
    """Do the housekeeping, as django-celery-beat's table says when."""
    timekeeping.keep_agreeing()
    housekeeping.sweep(now=clock.now())


def publish(bell: dispatcher.Bell) -> None:
    """Send a bell to its group's queue, confirmed or with an error within the deadline (X-4)."""
    run_task.apply_async(
        (bell.task_id, bell.group_id),
        queue=queue_for(bell.group_id),
        priority=broker.message_priority(bell.priority, settings.CELERY_BROKER_URL),
        **_CONFIRMED,
    )


class Ringer:
    """Rings what is ready, and leaves a broker that does not answer alone for a while.

    A publish may take its whole deadline to fail, and the planner must not wait for a thousand.
    What one group's queue refuses is that group's trouble: its bells are dropped, and what stays
    READY is rung again later.
    """

    def __init__(self, monotonic: Callable[[], float] = clock.monotonic) -> None:
        self._monotonic = monotonic
        self._one_at_a_time = threading.Lock()
        self._unsent: deque[dispatcher.Bell] = deque(maxlen=_UNSENT_MAX)
        self._pause = _FIRST_PAUSE
        self._closed_until = -math.inf

    def add(self, bell: dispatcher.Bell) -> None:
        """Have a bell sent with the next ring."""
        with self._one_at_a_time:
            self._unsent.append(bell)

    def ring(self, *, now: datetime, spared: int | None = None) -> bool:
        """Stamp, commit, then publish; False: the broker is not asked or does not answer."""
        with self._one_at_a_time:
            if self._monotonic() < self._closed_until:
                return False
            self._unsent.extend(dispatcher.ring(now=now, spared=spared))
            return self._send()

    def _send(self) -> bool:
        refusing: set[int] = set()
        while self._unsent:
            bell = self._unsent[0]
            try:
                if bell.group_id not in refusing:
                    publish(bell)
            except (BrokerError, OSError):
                logger.exception("ring.not_sent", extra={"unsent": len(self._unsent)})
                self._closed_until = self._monotonic() + self._pause
                self._pause = min(self._pause * 2, _LONGEST_PAUSE)
                return False
            except Exception:
                logger.exception("ring.refused", extra={"group_id": bell.group_id})
                refusing.add(bell.group_id)
            self._unsent.popleft()
        self._pause = _FIRST_PAUSE
        return True


RINGER = Ringer()
