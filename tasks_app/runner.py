"""One attempt on a worker: claim, start, execute, settle (4-house.md 4, step 7)."""

from __future__ import annotations

import logging
import threading
from contextlib import closing, nullcontext, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction
from django.db.models import Exists, QuerySet
from django.db.models.functions import Now

from jobs.models import App, Job
from logs_app import store
from sentinel_project import clock as system_clock
from sentinel_project import prepared
from sentinel_project.clock import Clock
from sentinel_project.errors import SentinelError
from tasks_app import gates, heart, reports, transitions
from tasks_app.executors import executor_for
from tasks_app.executors.base import Ending, Execution, Outcome, Stop, StopReason, note
from tasks_app.executors.masking import MaskedOutput
from tasks_app.heart import Charge
from tasks_app.models import Attempt, SystemState, Task
from tasks_app.preparation import prepare
from tasks_app.rules.states import AttemptStatus, Reason, TaskStatus
from tasks_app.rules.timing import Lease

logger = logging.getLogger(__name__)

_TRY_AGAIN_AFTER = 0.5
#: Set once this process is to end.
_leaving = threading.Event()

_STATUS = {
    Ending.SUCCESS: AttemptStatus.SUCCESS,
    Ending.FAILED: AttemptStatus.FAILED,
    Ending.KILLED: AttemptStatus.KILLED,
}


@dataclass(frozen=True, slots=True)
class Finished:
    """``retry_in`` is set when the task went back to READY for another try (X-6)."""

    retry_in: timedelta | None = None
    max_retries: int = 0


def run(task_id: int, *, worker: str, clock: Clock) -> Finished:
    """Run one attempt of a task, if it can be claimed."""
    lease = _lease()
    asked_at = system_clock.monotonic()
    attempt = claim(task_id, worker=worker, lease=lease, now=clock())
    if attempt is None or not transitions.start(attempt, now=clock()):
        return Finished()
    own_heart = heart.of_this_process(lease)
    writer = store.Writer(attempt.pk, fence=attempt.fence, cap=settings.SENTINEL_STREAM_CAP)
    charge = Charge(attempt, writer, Stop(), asked_at)
    with closing(writer):
        own_heart.take(charge)
        try:
            outcome = _execute(attempt, writer, charge.stop)
            return _report(attempt, outcome, charge, clock)
        finally:
            own_heart.drop(charge)


def _lease() -> Lease:
    return Lease(settings.SENTINEL_LEASE, settings.SENTINEL_HEARTBEAT)


def claim(task_id: int, *, worker: str, lease: Lease, now: datetime) -> Attempt | None:
    """Take a READY task if its gates let it start; None: it stays, or it was not to be had.

    The locks of what is counted come before the task's own, as everywhere else. The lease is
    counted from the database's clock, whatever ours says.
    """
    with transaction.atomic():
        task = next(iter(_candidate(task_id)), None)
        if task is None or not _is_ready(task, now):
            return None
        if task.job.is_serial:
            Job.objects.select_for_update().get(pk=task.job_id)
        if task.job.app.max_concurrency:
            App.objects.select_for_update().get(pk=task.job.app_id)
        blocking = gates.first_blocking(
            gates.starting_gates(task, is_paused=bool(vars(task)["is_paused"]), now=now)
        )
        if blocking is None:
            lease_until = vars(task)["read_at"] + lease.length
            return transitions.claim(task, worker=worker, lease_until=lease_until, now=now)
        if blocking.reason is Reason.EXPIRED:
            transitions.expire(task, now=now)
        elif blocking.reason is not None:
            transitions.wait(task, blocking.reason, blocking.text, gate=blocking.name, now=now)
        return None


@prepared.select
def _candidate(task_id: int) -> QuerySet[Task]:
    rows = Task.objects.filter(pk=task_id).select_related("job__app", "worker_group")
    is_paused = Exists(SystemState.objects.filter(is_paused=True))
    return rows.annotate(is_paused=is_paused, read_at=Now())


def _is_ready(task: Task, now: datetime) -> bool:
    return task.status == TaskStatus.READY and task.ready_at is not None and task.ready_at <= now


def _execute(attempt: Attempt, writer: store.Writer, stop: Stop) -> Outcome:
    """Run the content. An exception of ours becomes a failure that says so in the log."""
    task = attempt.task
    try:
        prepared = prepare(attempt)
        if isinstance(prepared, Outcome):
            note(writer, prepared.message)
            return prepared
        rendered = prepared.rendered
        transitions.keep_rendered(attempt, rendered.content, rendered.extra)
        # An attempt may take hours; the connection would be idle all the while.
        if not connection.in_atomic_block:
            connection.close()
        execution = replace(prepared.execution, unattended=_lease().gives_up_after)
        return _run(execution, writer, stop)
    except (OperationalError, InterfaceError):
        logger.exception("attempt.not_prepared", extra={"task_id": task.pk})
        text = "The database was gone before anything was started."
        return Outcome(Ending.INTERRUPTED, None, StopReason.SHUTDOWN, text)
    except SentinelError as error:
        return Outcome(Ending.FAILED, None, "REFUSED", str(error))
    except Exception as error:
        logger.exception("attempt.broken", extra={"task_id": task.pk, "attempt": attempt.number})
        return Outcome(Ending.FAILED, None, "BROKEN", f"the executor broke: {type(error).__name__}")


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
    task.refresh_from_db(fields=["status", "ready_at"])
    if task.status != TaskStatus.READY:
        return Finished()
    assert task.ready_at is not None
    return Finished(retry_in=task.ready_at - now, max_retries=task.job.max_retries)


def shut_down() -> None:
    """Have every run of this process end and be handed back (3-execution.md 4).

    What the database does not take now is reported by the next process of this host.
    """
    _leaving.set()
    heart.of_this_process(_lease()).stop_all(StopReason.SHUTDOWN)
