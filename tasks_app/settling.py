"""The end of an attempt, reported until the database takes it, and with it the next claim.

While a turn lasts, a slot closes one task and claims the next in a single transaction (ADR 0052).
The claim never costs the end anything: whatever goes wrong, the end is reported by itself.
"""

from __future__ import annotations

import logging
from contextlib import closing, nullcontext, suppress
from dataclasses import replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection, transaction

from logs_app import store
from sentinel_project import clock, dbfaults
from tasks_app import claims, reports, transitions
from tasks_app.executors.base import Ending, Outcome, StopReason
from tasks_app.models import Attempt
from tasks_app.rules.states import AttemptStatus, Reason, TaskStatus
from tasks_app.turns import Claimed, Finished, Slot, leaving

logger = logging.getLogger(__name__)

_TRY_AGAIN_AFTER = 0.5
#: So long what was read of a job at the claim is believed at the end.
_FRESH = timedelta(seconds=1)
_STATUS = {
    Ending.SUCCESS: AttemptStatus.SUCCESS,
    Ending.FAILED: AttemptStatus.FAILED,
    Ending.KILLED: AttemptStatus.KILLED,
}
_NOT_STARTED = transitions.Ending(
    status=AttemptStatus.LOST,
    reason=Reason.SHUTDOWN,
    text="The database was gone as this was claimed, so nothing was started.",
)


def report(attempt: Attempt, outcome: Outcome, writer: store.Writer, slot: Slot) -> Finished:
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
            writer.finish()
        return Finished()
    ahead = reports.write_ahead(settings.SENTINEL_WORK_DIR, attempt, ending)
    with closing(ahead) if ahead else nullcontext():
        finished = _Report(attempt, ending, writer, slot).deliver()
        if ahead and finished is not None:
            ahead.done()
    return finished or Finished()


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


class _Report:
    """One end on its way into the database, and what is claimed along with it."""

    def __init__(
        self, attempt: Attempt, ending: transitions.Ending, writer: store.Writer, slot: Slot
    ) -> None:
        self._attempt = attempt
        self._ending = ending
        self._writer = writer
        self._slot = slot
        self._follower: Claimed | None = None

    def deliver(self) -> Finished | None:
        """Try until it is settled; None: this process ends before the database answers."""
        if self._ending.status is not AttemptStatus.SUCCESS or self._slot.turn is None:
            return self._settled_alone()
        try:
            return self._settle_and_claim(clock.monotonic())
        except store.Fenced:
            return self._stale()
        except Exception as error:  # of the claim perhaps, which must not cost the end anything
            logger.exception("attempt.not_followed", extra={"task_id": self._attempt.task_id})
            if dbfaults.is_lost(error):
                connection.close()
        return self._settled_in_doubt()

    def _settled_in_doubt(self) -> Finished | None:
        """Settle alone, after a commit whose answer was lost: its claim may be there, or not.

        Nobody runs it. It is handed back by the file of an end, as soon as the end itself is
        settled: until then the former commit may be still on its way.
        """
        if self._follower is None:
            return self._settled_alone()
        root = settings.SENTINEL_WORK_DIR
        ahead = reports.write_ahead(root, self._follower.attempt, _NOT_STARTED)
        with closing(ahead) if ahead else nullcontext():
            finished = self._settled_alone()
        if finished is not None:
            with suppress(OperationalError, InterfaceError):
                reports.report_left(root, now=self._slot.clock())
        return finished

    def _settled_alone(self) -> Finished | None:
        while True:
            try:
                return self._settle()
            except store.Fenced:
                return self._stale()
            except (OperationalError, InterfaceError):
                logger.exception("attempt.not_settled", extra={"task_id": self._attempt.task_id})
                connection.close()
            if leaving.wait(_TRY_AGAIN_AFTER):
                return None

    @transaction.atomic
    def _settle_and_claim(self, asked_at: float) -> Finished:
        """Close one task and claim the next, unless somebody waits for the end: that comes first.

        The lease begins in this transaction, so it was asked for before.
        """
        finished = self._settle()
        turn = self._slot.turn
        assert turn is not None
        if finished.is_awaited or not turn.lasts():
            return finished
        attempt = claims.claim_next(
            turn.group_id, worker=self._slot.worker, lease=self._slot.lease, now=self._slot.clock()
        )
        if attempt is None:
            return replace(finished, is_last=True)
        self._follower = Claimed(attempt, asked_at)
        return replace(finished, follower=self._follower)

    @transaction.atomic(savepoint=False)
    def _settle(self) -> Finished:
        """The end of an attempt is one transaction, its last output included (X-7)."""
        attempt, now = self._attempt, self._slot.clock()
        self._writer.finish()
        if self._ending.status is AttemptStatus.LOST:
            transitions.hand_back(attempt, self._ending, now=now)
            return Finished()
        task = transitions.settle(attempt, self._ending, now=now)
        if task is None:
            return self._finished(is_awaited=True)
        is_awaited = _is_awaited(attempt, now)
        if task.status != TaskStatus.READY:
            return self._finished(is_awaited=is_awaited)
        assert task.ready_at is not None
        wait = task.ready_at - now
        return Finished(task.pk, wait, task.job.max_retries, is_awaited=is_awaited)

    def _stale(self) -> Finished:
        logger.warning("attempt.stale", extra={"task_id": self._attempt.task_id})
        return self._finished(is_awaited=True)

    def _finished(self, *, is_awaited: bool) -> Finished:
        return Finished(self._attempt.task_id, is_awaited=is_awaited)


def _is_awaited(attempt: Attempt, now: datetime) -> bool:
    """Tell whether anybody waits for the end; what was read as it began is not believed for long.

    An end of which it is not known is awaited.
    """
    is_old = now - attempt.claimed_at > _FRESH
    return is_old or bool(vars(attempt.task).get("is_awaited", True))
