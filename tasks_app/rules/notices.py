"""What is told to others about a task: which alarms a change raises, and when to try again (pure).

A receiver that does not answer is tried again after pauses that grow, and not for ever.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Sequence
from datetime import timedelta
from enum import StrEnum

from tasks_app.rules.states import Reason, TaskStatus

MAX_TRIES = 12
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(hours=1)
_GROWTH = 4
_LONGEST_LINE = 300


class AlarmEvent(StrEnum):
    """What an alarm can be about (D-84)."""

    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    KILLED = "KILLED"
    NOT_STARTED = "NOT_STARTED"
    NOT_FINISHED = "NOT_FINISHED"


class SystemEvent(StrEnum):
    """What the operators of an installation are told (X-9, D-81)."""

    EXPRESSION_FAULT = "EXPRESSION_FAULT"
    CLOCK_DOUBTFUL = "CLOCK_DOUBTFUL"
    NO_WORKERS = "NO_WORKERS"


class Channel(StrEnum):
    WEBHOOK = "WEBHOOK"
    MAIL = "MAIL"


class DeliveryState(StrEnum):
    PENDING = "PENDING"
    DELIVERED = "DELIVERED"
    #: Tried as often as it may be, or not to be sent at all; a redelivery begins anew.
    GIVEN_UP = "GIVEN_UP"
    #: The alarm was raised before, within its quiet time.
    SUPPRESSED = "SUPPRESSED"


def raised(status: TaskStatus, reason: str) -> AlarmEvent | None:
    """Return what alarm a task's new status raises; a failure is final where it is a status."""
    match status:
        case TaskStatus.FAILED:
            return AlarmEvent.EXPIRED if reason == Reason.EXPIRED else AlarmEvent.FAILED
        case TaskStatus.KILLED:
            return AlarmEvent.KILLED
        case _:
            return None


def pause_after(tries: int) -> timedelta | None:
    """Return how long to wait after so many tries that failed; None: give up."""
    if tries >= MAX_TRIES:
        return None
    growth: int = _GROWTH ** (tries - 1)
    return min(FIRST_PAUSE * growth, LONGEST_PAUSE)


def signatures(keys: Iterable[str], stamp: int, body: bytes) -> str:
    """Return the header that proves a post is ours: one signature for each live key of the app."""
    signed = f"{stamp}.".encode() + body
    return ", ".join(
        "v1=" + hmac.new(key.encode(), signed, hashlib.sha256).hexdigest() for key in keys
    )


def sentence(event: AlarmEvent, job: str, due: str, text: str) -> str:
    """Return an alarm in one line, such as a mail's subject."""
    said = {
        AlarmEvent.FAILED: "has failed",
        AlarmEvent.EXPIRED: "was too late to start",
        AlarmEvent.KILLED: "was killed",
        AlarmEvent.NOT_STARTED: "has not started in time",
        AlarmEvent.NOT_FINISHED: "has not finished in time",
    }[event]
    return line_of(f"{job}: the run of {due} {said}" + (f" ({text})" if text else ""))


def line_of(text: str) -> str:
    """Return ``text`` as one line that is short enough for a subject."""
    return " ".join(text.split())[:_LONGEST_LINE]


def receivers(webhooks: Sequence[str], mails: Sequence[str]) -> list[tuple[Channel, str]]:
    """Return whom an alarm tells, each once."""
    named = [(Channel.WEBHOOK, url) for url in webhooks] + [(Channel.MAIL, to) for to in mails]
    return list(dict.fromkeys(named))
