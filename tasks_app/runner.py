"""One attempt on a worker: claim, start, execute, settle (4-house.md 4, step 7)."""

from __future__ import annotations

import logging
import threading
from contextlib import ExitStack, closing, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import QuerySet

from logs_app import store
from sentinel_project import clock as system_clock
from sentinel_project import prepared
from sentinel_project.clock import Clock
from sentinel_project.errors import SentinelError
from tasks_app import claims, heart, reports, transitions
from tasks_app.executors import executor_for
from tasks_app.executors.base import Ending, Execution, Outcome, Stop, StopReason, note
from tasks_app.executors.masking import MaskedOutput
from tasks_app.heart import Charge
from tasks_app.models import Attempt, Task
from tasks_app.preparation import prepare
from tasks_app.rules.states import AttemptStatus, Reason, TaskStatus
from tasks_app.rules.timing import Lease

logger = logging.getLogger(__name__)

_TRY_AGAIN_AFTER = 0.5
#: Set once this process is to end.
_leaving = threading.Event()
#: So long what was read of a job at the claim is believed at the end.
_FRESH = timedelta(seconds=1)
_STATUS = {
    Ending.SUCCESS: AttemptStatus.SUCCESS,
    Ending.FAILED: AttemptStatus.FAILED,
    Ending.KILLED: AttemptStatus.KILLED,
}


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of a bell, or of looking for more to do.

    ``task_id`` None: nothing ran. ``retry_in`` is set when the task waits for its next try (X-6).
    ``is_awaited``: its end may let something else go.
    """

    task_id: int | None = None
    retry_in: timedelta | None = None
    max_retries: int = 0
    is_awaited: bool = False


def run(task_id: int, *, worker: str, clock: Clock) -> Finished:
    """Run one attempt of a task, if it can be claimed."""
    lease, asked_at, now = _lease(), system_clock.monotonic(), clock()
    attempt = claims.claim(task_id, worker=worker, lease=lease, now=now, starts=True)
    if attempt is None:
        return _too_early(task_id, now)
    return _attend(attempt, lease, asked_at, clock)


def _too_early(task_id: int, now: datetime) -> Finished:
    """Tell how long a task that waits for its next try has to wait."""
    for ready_at, max_retries in _waiting(task_id, now):
        return Finished(retry_in=ready_at - now, max_retries=max_retries)
    return Finished()


@prepared.select
def _waiting(task_id: int, now: datetime) -> QuerySet[Task, Any]:
    rows = Task.objects.filter(pk=task_id, status=TaskStatus.READY.value, ready_at__gt=now)
    return rows.values_list("ready_at", "job__max_retries")


def run_next(group_id: int, *, worker: str, clock: Clock) -> Finished:
    """Run one attempt of the task that is next in a group, without waiting for its bell."""
    lease, asked_at = _lease(), system_clock.monotonic()
    if _leaving.is_set():
        return Finished()
    attempt = claims.claim_next(group_id, worker=worker, lease=lease, now=clock())
    return Finished() if attempt is None else _attend(attempt, lease, asked_at, clock)


def _lease() -> Lease:
    return Lease(settings.SENTINEL_LEASE, settings.SENTINEL_HEARTBEAT)


def _attend(attempt: Attempt, lease: Lease, asked_at: float, clock: Clock) -> Finished:
    if attempt.started_at is None and not transitions.start(attempt, now=clock()):
        return Finished()
    own_heart = heart.of_this_process(lease)
    writer = store.Writer(attempt.pk, fence=attempt.fence, cap=settings.SENTINEL_STREAM_CAP)
    charge = Charge(attempt, writer, Stop(), asked_at)
    with closing(writer):
        try:
            own_heart.take(charge)
            outcome = _execute(attempt, charge)
            return _report(attempt, outcome, charge, clock)
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


def _report(attempt: Attempt, outcome: Outcome, charge: Charge, clock: Clock) -> Finished:
    """Report the end until the database takes it or says that it is not ours any more.

    The end is kept in a file meanwhile, so that it is reported even if this process is not there
    when the database returns. A run that was fenced has nothing to report but its last output.
    """
    logger.info(
        "attempt.ended",
        extra={"task_id": attempt.task_id, "attempt": attempt.number, "ending": outcome.ending},
    )
    ending = _ending(outcome)
    if ending is None:
        with suppress(store.Fenced, OperationalError, InterfaceError):
            charge.writer.finish()
        return Finished()
    ahead = reports.write_ahead(settings.SENTINEL_WORK_DIR, attempt, ending)
    with closing(ahead) if ahead else nullcontext():
        finished = _settled(attempt, ending, charge, clock)
        if ahead and finished is not None:
            ahead.done()
    return finished or Finished()


def _settled(
    attempt: Attempt, ending: transitions.Ending, charge: Charge, clock: Clock
) -> Finished | None:
    """Try until it is settled; None: this process ends before the database answers."""
    while True:
        try:
            return _settle(attempt, ending, charge.writer, clock)
        except store.Fenced:
            logger.warning("attempt.stale", extra={"task_id": attempt.task_id})
            return Finished()
        except (OperationalError, InterfaceError):
            logger.exception("attempt.not_settled", extra={"task_id": attempt.task_id})
            connection.close()
        if _leaving.wait(_TRY_AGAIN_AFTER):
            return None


def _ending(outcome: Outcome) -> transitions.Ending | None:
    """Return what is written of an outcome; None: the attempt is not ours, nothing is."""
    if outcome.ending is not Ending.INTERRUPTED:
        return transitions.Ending(
            status=_STATUS[outcome.ending],
            exit_code=outcome.exit_code,
            reason=outcome.reason or "",
            text=outcome.message,
            is_final=outcome.is_final,
        )
    if outcome.reason != StopReason.SHUTDOWN:
        return None
    return transitions.Ending(
        status=AttemptStatus.LOST, reason=Reason.SHUTDOWN, text=outcome.message
    )


@transaction.atomic
def _settle(
    attempt: Attempt, ending: transitions.Ending, writer: store.Writer, clock: Clock
) -> Finished:
    """The end of an attempt is one transaction, its last output included (X-7)."""
    now = clock()
    writer.finish()
    if ending.status is AttemptStatus.LOST:
        transitions.hand_back(attempt, ending, now=now)
        return Finished()
    task = transitions.settle(attempt, ending, now=now)
    if task is None:
        return Finished()
    # What is told of the job was read when the attempt began.
    is_old = now - attempt.claimed_at > _FRESH
    is_awaited = is_old or bool(vars(attempt.task).get("is_awaited", True))
    if task.status != TaskStatus.READY:
        return Finished(task.pk, is_awaited=is_awaited)
    assert task.ready_at is not None
    wait = task.ready_at - now
    return Finished(task.pk, wait, task.job.max_retries, is_awaited=is_awaited)


def shut_down() -> None:
    """Have every run of this process end and be handed back (3-execution.md 4).

    What the database does not take now is reported by the next process of this host.
    """
    _leaving.set()
    heart.of_this_process(_lease()).stop_all(StopReason.SHUTDOWN)
