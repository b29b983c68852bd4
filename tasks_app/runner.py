"""Attempts on a worker: claim, start, execute, settle (4-house.md 4, step 7)."""

from __future__ import annotations

import logging
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError
from django.db.models import QuerySet

from logs_app import store
from sentinel_project import clock as system_clock
from sentinel_project import prepared
from sentinel_project.clock import Clock
from sentinel_project.errors import SentinelError
from tasks_app import claims, heart, settling, transitions
from tasks_app.executors import executor_for
from tasks_app.executors.base import Ending, Execution, Outcome, Stop, StopReason, note
from tasks_app.executors.masking import MaskedOutput
from tasks_app.heart import Charge
from tasks_app.models import Attempt, Task
from tasks_app.preparation import prepare
from tasks_app.rules.states import TaskStatus
from tasks_app.rules.timing import Lease
from tasks_app.turns import Claimed, Finished, Slot, Turn, leaving

logger = logging.getLogger(__name__)


def run(task_id: int, *, worker: str, clock: Clock, turn: Turn | None = None) -> Finished:
    """Run one attempt of a task, if it can be claimed, and what is claimed with its end."""
    slot = Slot(worker, clock, _lease(), turn)
    asked_at, now = system_clock.monotonic(), clock()
    attempt = claims.claim(task_id, worker=worker, lease=slot.lease, now=now, starts=True)
    if attempt is None:
        return _too_early(task_id, now)
    return _go_on(Claimed(attempt, asked_at), slot)


def _too_early(task_id: int, now: datetime) -> Finished:
    """Tell how long a task that waits for its next try has to wait."""
    for ready_at, max_retries in _waiting(task_id, now):
        return Finished(retry_in=ready_at - now, max_retries=max_retries)
    return Finished()


@prepared.select
def _waiting(task_id: int, now: datetime) -> QuerySet[Task, Any]:
    rows = Task.objects.filter(pk=task_id, status=TaskStatus.READY.value, ready_at__gt=now)
    return rows.values_list("ready_at", "job__max_retries")


def run_next(turn: Turn, *, worker: str, clock: Clock) -> Finished:
    """Run one attempt of the task that is next in a group, without waiting for its bell.

    Then what is claimed with its end, for as long as the turn lasts.
    """
    slot, asked_at = Slot(worker, clock, _lease(), turn), system_clock.monotonic()
    if leaving.is_set():
        return Finished(is_last=True)
    attempt = claims.claim_next(turn.group_id, worker=worker, lease=slot.lease, now=clock())
    if attempt is None:
        return Finished(is_last=True)
    return _go_on(Claimed(attempt, asked_at), slot)


def _lease() -> Lease:
    return Lease(settings.SENTINEL_LEASE, settings.SENTINEL_HEARTBEAT)


def _go_on(claimed: Claimed, slot: Slot) -> Finished:
    """Run an attempt, and the follower of each that ended with one."""
    finished = _attend(claimed, slot)
    while finished.follower is not None:
        finished = _attend(finished.follower, slot)
    return finished


def _attend(claimed: Claimed, slot: Slot) -> Finished:
    attempt = claimed.attempt
    if attempt.started_at is None and not transitions.start(attempt, now=slot.clock()):
        return Finished()
    own_heart = heart.of_this_process(slot.lease)
    writer = store.Writer(attempt.pk, fence=attempt.fence, cap=settings.SENTINEL_STREAM_CAP)
    charge = Charge(attempt, writer, Stop(), claimed.asked_at)
    with closing(writer):
        try:
            own_heart.take(charge)
            outcome = _execute(attempt, charge)
            return settling.report(attempt, outcome, writer, slot)
        finally:
            own_heart.drop(charge)


def _execute(attempt: Attempt, charge: Charge) -> Outcome:
    """Run the content. An exception of ours becomes a failure that says so in the log."""
    task = attempt.task
    try:
        with ExitStack() as held:
            return _prepared(attempt, charge, held)
    except (OperationalError, InterfaceError):
        logger.exception("attempt.not_prepared", extra={"task_id": task.pk})
        text = "The database was gone before anything was started."
        return Outcome(Ending.INTERRUPTED, None, StopReason.SHUTDOWN, text)
    except SentinelError as error:
        return Outcome(Ending.FAILED, None, "REFUSED", str(error))
    except Exception as error:
        logger.exception("attempt.broken", extra={"task_id": task.pk, "attempt": attempt.number})
        return Outcome(Ending.FAILED, None, "BROKEN", f"the executor broke: {type(error).__name__}")


def _prepared(attempt: Attempt, charge: Charge, held: ExitStack) -> Outcome:
    prepared = prepare(attempt, held)
    if isinstance(prepared, Outcome):
        note(charge.writer, prepared.message)
        return prepared
    rendered = prepared.rendered
    transitions.keep_rendered(attempt, rendered.content, rendered.extra)
    execution = replace(prepared.execution, unattended=_lease().gives_up_after)
    with charge.resting:
        return _run(execution, charge.writer, charge.stop)


def _run(execution: Execution, writer: store.Writer, stop: Stop) -> Outcome:
    execute = executor_for(execution.job_type)
    if not execution.credentials:
        return execute(execution, writer, stop)
    output = MaskedOutput(writer, execution.credentials.values())
    try:
        outcome = execute(execution, output, stop)
        return replace(outcome, message=output.hidden(outcome.message))
    finally:
        output.finish()


def shut_down() -> None:
    """Have every run of this process end and be handed back (3-execution.md 4).

    What the database does not take now is reported by the next process of this host.
    """
    leaving.set()
    heart.of_this_process(_lease()).stop_all(StopReason.SHUTDOWN)
