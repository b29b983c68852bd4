"""Sending deliveries: claimed by a lease, sent outside of any transaction, tried again with pauses.

Whoever dies while it sends leaves a delivery that is sent again when the lease is over: at least
once, never not at all. Receivers know repetitions by the delivery's id.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F

from sentinel_project.clock import Clock
from sentinel_project.wire import jsontext
from tasks_app.models import Delivery, DeliveryTry
from tasks_app.notices import mail, webhook
from tasks_app.notices.answers import Answer
from tasks_app.rules.notices import Channel, DeliveryState, pause_after

logger = logging.getLogger(__name__)

#: Sent side by side, so that a receiver that hangs does not hold up the others.
AT_ONCE = 8
BATCH = 40
#: A sending begins only while what is left of the lease is longer than any takes (``mail.WITHIN``),
#: for another beat would send the same one too.
LEASE = timedelta(minutes=5)
_BEGINS_WITHIN = timedelta(minutes=2)
_ANSWER_SIZE = 500


@dataclass(frozen=True, slots=True)
class _Sent:
    delivery: Delivery
    at: datetime
    took: timedelta
    answer: Answer


def deliver_due(clock: Clock) -> int:
    """Send what is due, a batch at most; return how many were tried.

    What breaks one delivery is a failed try of that one, and no trouble of the batch.
    """
    began = clock()
    claimed = _claim(began)
    if not claimed:
        return 0
    ready = [(each, _ready_sender(each, clock())) for each in claimed]
    until = began + _BEGINS_WITHIN
    with ThreadPoolExecutor(max_workers=AT_ONCE, thread_name_prefix="delivery") as pool:
        answers = list(pool.map(lambda pair: _send(pair[0], pair[1], clock, until), ready))
    sent = [each for each in answers if each is not None]
    for each in sent:
        _note(each)
    return len(sent)


@transaction.atomic
def _claim(now: datetime) -> Sequence[Delivery]:
    can_skip = connection.features.has_select_for_update_skip_locked
    due = Delivery.objects.filter(next_at__lte=now).order_by("next_at")
    if not due.exists():
        return []
    rows = list(
        due.select_for_update(skip_locked=can_skip, of=("self",), no_key=True).select_related(
            "job__app"
        )[:BATCH]
    )
    Delivery.objects.filter(pk__in=[row.pk for row in rows]).update(next_at=now + LEASE)
    return rows


def _sender(delivery: Delivery, now: datetime) -> Callable[[], Answer]:
    """Return what sends it and touches no database: senders run in threads of their own."""
    if delivery.channel == Channel.MAIL:
        return mail.sender(delivery)
    return webhook.sender(delivery, now=now)


def _ready_sender(delivery: Delivery, now: datetime) -> Callable[[], Answer]:
    try:
        return _sender(delivery, now)
    except Exception as error:
        answer = _broken(delivery, error)
        return lambda: answer


def _send(
    delivery: Delivery, send: Callable[[], Answer], clock: Clock, until: datetime
) -> _Sent | None:
    """Send one delivery; None: it is too late to begin, and its lease brings it again."""
    began = clock()
    if began > until:
        return None
    try:
        answer = send()
    except Exception as error:
        answer = _broken(delivery, error)
    return _Sent(delivery, began, clock() - began, answer)


def _broken(delivery: Delivery, error: Exception) -> Answer:
    logger.error("delivery.broken", extra={"delivery_id": delivery.pk}, exc_info=error)
    return Answer(False, f"it could not be sent: {type(error).__name__}")


def _note(sent: _Sent) -> None:
    try:
        _keep(sent)
    except Exception:  # its lease brings it again
        logger.exception("delivery.not_noted", extra={"delivery_id": sent.delivery.pk})


@transaction.atomic
def _keep(sent: _Sent) -> None:
    """Note the try, and when the next one is: none after a good one, or after the last."""
    delivery, answer = sent.delivery, sent.answer
    tries = delivery.tries + 1
    DeliveryTry.objects.create(
        delivery=delivery,
        number=tries,
        at=sent.at,
        took_ms=max(0, sent.took // timedelta(milliseconds=1)),
        is_good=answer.is_good,
        answer=jsontext.printable(answer.text)[:_ANSWER_SIZE],
    )
    pause = None if answer.is_good or answer.is_final else pause_after(tries)
    ended_at = sent.at + sent.took
    Delivery.objects.filter(pk=delivery.pk).update(
        tries=F("tries") + 1,
        state=_state(answer, is_over=pause is None).value,
        next_at=None if pause is None else ended_at + pause,
        ended_at=ended_at if pause is None else None,
    )
    logger.info(
        "delivery.tried",
        extra={"delivery_id": delivery.pk, "is_good": answer.is_good, "try": tries},
    )


def _state(answer: Answer, *, is_over: bool) -> DeliveryState:
    if answer.is_good:
        return DeliveryState.DELIVERED
    return DeliveryState.GIVEN_UP if is_over else DeliveryState.PENDING
