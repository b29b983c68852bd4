"""Work of the worker itself, such as a query elsewhere, that ends when it is asked to (X-21, X-23).

The work runs in a thread of its own, so that one that hangs in a call cannot keep a kill waiting.
"""

from __future__ import annotations

import logging
import math
import threading
from typing import Protocol

from sentinel_project.clock import monotonic
from tasks_app.executors.base import (
    Ending,
    Execution,
    Fenced,
    Outcome,
    Output,
    Stop,
    StopReason,
    note,
    stopped,
    timed_out,
)

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_CANCEL_AGAIN_SECONDS = 1.0


class Work(Protocol):
    """``run`` blocks until the work is over. ``cancel`` is called by another thread, maybe often.

    When ``run`` returns after ``cancel``, nothing of the work is left, here or elsewhere.
    """

    def run(self) -> Outcome: ...

    def cancel(self) -> None: ...


class _Worker(threading.Thread):
    def __init__(self, work: Work, stop: Stop) -> None:
        super().__init__(name="attended", daemon=True)
        self.outcome: Outcome | None = None
        self.error: Exception | None = None
        self._work = work
        self._stop_request = stop

    def run(self) -> None:
        try:
            self.outcome = self._work.run()
        except Fenced:
            self._stop_request.request(StopReason.FENCED)
            self.outcome = stopped(StopReason.FENCED)
        except Exception as error:  # raised again in the thread that attends
            self.error = error


def attend(work: Work, execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Stay with ``work`` until it is over, or cancel it when it is to end or out of time."""
    timeout = execution.timeout
    deadline = math.inf if timeout is None else monotonic() + timeout.total_seconds()
    worker = _Worker(work, stop)
    worker.start()
    while worker.is_alive() and stop.reason is None and monotonic() < deadline:
        worker.join(min(_POLL_SECONDS, max(0.0, deadline - monotonic())))
    if not worker.is_alive():
        return _ended(worker)
    cause = "TIMEOUT" if stop.reason is None else stop.reason
    _tell(output, stop, f"{cause}: cancelling")
    if not _cancelled(worker, work, execution.kill_grace.total_seconds()):
        _tell(output, stop, "the cancelled work did not end")
        ending = Ending.KILLED if cause == StopReason.KILL else Ending.FAILED
        text = f"Ended for {cause}. What runs elsewhere may still run: nothing confirmed its end."
        return Outcome(ending, None, "KILL_UNCONFIRMED", text)
    if stop.reason is not StopReason.FENCED and _ended(worker).ending is Ending.SUCCESS:
        return _ended(worker)  # it was over before the cancellation came
    if stop.reason is None and timeout is not None:
        return timed_out(timeout)
    return stopped(stop.reason or StopReason.KILL)


def _ended(worker: _Worker) -> Outcome:
    if worker.error is not None:
        raise worker.error
    assert worker.outcome is not None
    return worker.outcome


def _cancelled(worker: _Worker, work: Work, grace: float) -> bool:
    """Cancel until the work is over; a cancellation that comes between two steps is lost."""
    deadline = monotonic() + grace
    while worker.is_alive() and monotonic() < deadline:
        canceller = threading.Thread(target=_cancel, args=[work], name="cancel", daemon=True)
        canceller.start()
        worker.join(min(_CANCEL_AGAIN_SECONDS, max(0.0, deadline - monotonic())))
        canceller.join(max(0.0, deadline - monotonic()))
    return not worker.is_alive()


def _cancel(work: Work) -> None:
    try:
        work.cancel()
    except Exception:
        # It is tried again; if it never succeeds, the outcome says so.
        logger.warning("work.not_cancelled", exc_info=True)


def _tell(output: Output, stop: Stop, text: str) -> None:
    try:
        note(output, text)
    except Fenced:
        stop.request(StopReason.FENCED)
