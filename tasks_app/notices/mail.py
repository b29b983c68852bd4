"""Mailing an alarm by the server of SENTINEL_MAIL_URL."""

from __future__ import annotations

import json
import smtplib
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from django.conf import settings
from django.core.mail import EmailMessage

from tasks_app.models import Delivery
from tasks_app.notices import smtp
from tasks_app.notices.answers import Answer
from tasks_app.rules.notices import AlarmEvent, line_of, sentence

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REFUSED_FOR_EVER = range(500, 600)
#: For the whole of a mail, however little each of its steps takes: far less than a lease.
WITHIN = timedelta(minutes=1)


def sender(delivery: Delivery) -> Callable[[], Answer]:
    told = delivery.payload
    line = _line(delivery)
    body = f"{line}\n\n{json.dumps(told, indent=2, ensure_ascii=False)}\n"
    message = EmailMessage(f"[Sentinel] {line}", body, settings.SENTINEL_MAIL_FROM)
    message.to = [delivery.target]
    message.extra_headers = {"X-Sentinel-Delivery": str(delivery.pk)}
    return lambda: _send(message)


def _line(delivery: Delivery) -> str:
    told = delivery.payload
    if delivery.job is None:
        return line_of(f"{told['subject']}: {told['event']} ({told['reasonText']})")
    due = _EPOCH + timedelta(milliseconds=told["scheduleTime"])
    local = due.astimezone(delivery.job.zone).isoformat(" ", "seconds")
    return sentence(AlarmEvent(told["event"]), told["jobName"], local, told["reasonText"] or "")


def _send(message: EmailMessage) -> Answer:
    if not settings.EMAIL_HOST:
        return Answer(False, "SENTINEL_MAIL_URL is not set", is_final=True)
    with smtp.deadline_after(WITHIN) as deadline:
        answer = _handed_in(message, smtp.Backend(deadline))
        if deadline.has_passed and not answer.is_good:
            seconds = WITHIN.total_seconds()
            return Answer(False, f"the mail server took longer than {seconds:g} s")
    return answer


def _handed_in(message: EmailMessage, backend: smtp.Backend) -> Answer:
    try:
        backend.send_messages([message])
    except smtplib.SMTPRecipientsRefused as refusal:
        ((code, said),) = refusal.recipients.values()
        text = f"{code} {said.decode(errors='replace')}"
        return Answer(False, text, is_final=code in _REFUSED_FOR_EVER)
    except (smtplib.SMTPException, OSError, ValueError) as error:  # ValueError: an address
        return Answer(False, f"{type(error).__name__}: {error}")
    finally:
        # Of a connection that was refused before it was whole, Django keeps a part.
        with suppress(smtplib.SMTPException, OSError):
            backend.close()
    return Answer(True, "accepted")
