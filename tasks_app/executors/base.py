"""What an executor is handed, what it reports while it runs, and how it ends (X-20 to X-23).

An executor is a function from an execution to an outcome: data in, bytes out, nothing of the
database. Content that fails is an outcome; an exception out of an executor is a mistake of ours.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from jobs.rules.enums import ContentType
from sentinel_project.errors import SentinelError
from tasks_app.rules.limits import NO_LIMITS, Limits

KILL_GRACE = timedelta(seconds=10)


class Fenced(SentinelError):
    """The attempt is no longer ours: what it writes is refused (X-3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One attempt, with all that its executor may know. ``timeout`` None: no limit (X-23).

    ``content`` is what really runs: a stored script's text, placeholders rendered (D-86).
    ``schedule_time`` and ``data_time`` are aware and in the job's own zone. ``artifacts`` holds a
    file for each id, ``credentials`` a connection's address or a secret for each name, that the
    content or a parameter refers to.
    """

    job_id: int
    task_id: int
    attempt_number: int
    fence: int
    job_type: str
    content: str
    content_type: ContentType
    extra: Mapping[str, Any]
    schedule_time: datetime
    data_time: datetime
    timeout: timedelta | None
    work_root: Path
    kill_grace: timedelta = KILL_GRACE
    limits: Limits = NO_LIMITS
    #: A tree whose worker does not renew its lease for so long ends by itself; None: never.
    unattended: timedelta | None = None
    worker_group_id: int = 1
    artifacts: Mapping[str, Path] = field(default_factory=dict)
    #: What earlier attempts, lost with their worker, started on a cluster: each id, and since when.
    left_behind: Mapping[str, datetime] = field(default_factory=dict)
    credentials: Mapping[str, str] = field(default_factory=dict, repr=False)


class Output(Protocol):
    """The two streams of an attempt (X-30).

    Called from several threads at once. May raise ``Fenced``, which stops the run.
    """

    def result(self, data: bytes) -> None: ...

    def log(self, data: bytes) -> None: ...


class StopReason(StrEnum):
    """Why a run is asked to end early."""

    KILL = "KILL"
    SHUTDOWN = "SHUTDOWN"
    FENCED = "FENCED"


class Stop:
    """A request to end early, made by one thread and noticed by another.

    The first reason stays, but FENCED overrides it: an attempt that is no longer ours has no
    grace to spend.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requested = threading.Event()
        self._reason: StopReason | None = None
        #: Counts how often the lease was confirmed, which keeps the tree alive.
        self.renewals = 0

    def renew(self) -> None:
        """The lease was confirmed just now. Called by one thread only."""
        self.renewals += 1

    def request(self, reason: StopReason) -> None:
        """Ask the run to end; asking again is harmless."""
        with self._lock:
            if self._reason is None or reason is StopReason.FENCED:
                self._reason = reason
        self._requested.set()

    @property
    def reason(self) -> StopReason | None:
        """Why the run should end, or None while it may go on."""
        return self._reason

    def wait(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds; tell whether an end was requested."""
        return self._requested.wait(timeout)


class Ending(StrEnum):
    """INTERRUPTED: shutdown or fenced. The tree is gone, so the attempt may be handed back."""

    SUCCESS = "SUCCESS"
    FAILED = "FAILED"
    KILLED = "KILLED"
    INTERRUPTED = "INTERRUPTED"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended: ``reason`` is a code for machines, ``message`` a sentence for people.

    ``is_final``: no retry could end otherwise, so none is spent on it.
    """

    ending: Ending
    exit_code: int | None = None
    reason: str | None = None
    message: str = ""
    is_final: bool = False


Executor = Callable[[Execution, Output, Stop], Outcome]


def failed(reason: str, message: str, *, is_final: bool = False) -> Outcome:
    """Return the outcome of content that failed without an exit code."""
    return Outcome(Ending.FAILED, None, reason, message, is_final)


def stopped(reason: StopReason, exit_code: int | None = None) -> Outcome:
    """Return the outcome of a run that ended because it was asked to."""
    match reason:
        case StopReason.KILL:
            return Outcome(Ending.KILLED, exit_code, "KILL", "Killed on request.")
        case StopReason.SHUTDOWN:
            return Outcome(Ending.INTERRUPTED, exit_code, "SHUTDOWN", "The worker shut down.")
        case StopReason.FENCED:
            return Outcome(
                Ending.INTERRUPTED, exit_code, "FENCED", "The attempt was taken over elsewhere."
            )


def timed_out(timeout: timedelta, exit_code: int | None = None) -> Outcome:
    """Return the outcome of a run that was ended for taking too long (X-23)."""
    seconds = timeout.total_seconds()
    message = f"Ended after its timeout of {seconds:g} seconds."
    return Outcome(Ending.FAILED, exit_code, "TIMEOUT", message)


def note(output: Output, text: str) -> None:
    """Write a line of the system into LOG (X-30)."""
    output.log(f"[sentinel] {text}\n".encode())
