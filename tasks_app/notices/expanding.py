"""From changes to deliveries: one for each receiver, once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import connection, transaction

from tasks_app.apart import attempt
from tasks_app.models import Alarm, Change, Delivery
from tasks_app.notices import payloads
from tasks_app.notices.payloads import Run
from tasks_app.rules.notices import AlarmEvent, Channel, DeliveryState, raised, receivers
from tasks_app.rules.states import TaskStatus

BATCH = 200
_QUIETEST = timedelta(0)


def expand_changes(*, now: datetime) -> int:
    """Make the deliveries of all changes that are there; return how many changes that were.

    One that fails is left to the next pass, and stops no other.
    """
    done, behind = 0, 0
    while Change.objects.filter(pk__gt=behind).exists():
        changes, expanded = _expand_batch(behind, now)
        done += expanded
        if len(changes) < BATCH:
            break
        behind = changes[-1].pk
    return done


@transaction.atomic
def _expand_batch(behind: int, now: datetime) -> tuple[list[Change], int]:
    """Deliveries come and changes go in one transaction; somebody else's changes are left alone.

    Returns the changes that were looked at, and how many of them are gone.
    """
    rows = Change.objects.select_for_update(skip_locked=_can_skip(), of=("self",), no_key=True)
    rows = rows.filter(pk__gt=behind).select_related("task__job")
    changes = list(rows.order_by("pk")[:BATCH])
    alarms: dict[int, list[Alarm]] = {}
    for alarm in Alarm.objects.filter(job__in={c.job_id for c in changes}, is_enabled=True):
        alarms.setdefault(alarm.job_id, []).append(alarm)
    told = [c.pk for c in changes if _expand(c, alarms.get(c.job_id, []), now)]
    Change.objects.filter(pk__in=told).delete()
    return changes, len(told)


def _can_skip() -> bool:
    return connection.features.has_select_for_update_skip_locked


def _expand(change: Change, alarms: list[Alarm], now: datetime) -> bool:
    """Make the deliveries of a change, and tell whether all are there; others wait for none.

    What is made again at the next pass has the same key, and is the same.
    """
    ids = {"change_id": change.pk, "task_id": change.task_id, "job_id": change.job_id}
    went = [attempt(partial(_call_back, change, now), "change.not_told", **ids)]
    for alarm in alarms:
        work = partial(_raise, alarm, change, now)
        went.append(attempt(work, "change.not_told", alarm_id=alarm.pk, **ids))
    return all(went)


@transaction.atomic
def _call_back(change: Change, now: datetime) -> None:
    job = change.task.job
    if job.callback_url:
        made = delivery(
            (Channel.WEBHOOK, job.callback_url),
            once=f"change {change.pk}",
            payload=payloads.callback(change),
            now=now,
            job_id=job.pk,
            task=change.task,
        )
        insert([made])


@transaction.atomic
def _raise(alarm: Alarm, change: Change, now: datetime) -> None:
    task = change.task
    event = raised(TaskStatus(change.to_status), change.reason)
    if event is None or event.value not in alarm.events:
        return
    # As it was then: a retry may have come between.
    task.status, task.reason, task.attempt_count = (
        change.to_status,
        change.reason,
        change.attempt_number,
    )
    once, run = f"change {change.pk}", payloads.run_of(task)
    insert(list(of_alarm(alarm, event, run, once=once, text=change.reason_text, now=now)))


def of_alarm(
    alarm: Alarm, event: AlarmEvent, run: Run, *, once: str, text: str, now: datetime
) -> Iterator[Delivery]:
    """Yield what an alarm tells its receivers; suppressed if it was told within its quiet time."""
    is_quiet = _was_told(alarm, event, now)
    payload = payloads.alarm(alarm, event, run, text, now)
    for receiver in receivers(alarm.webhooks, alarm.mails):
        yield delivery(
            receiver,
            once=f"{once} alarm {alarm.pk}",
            payload=payload,
            now=now,
            job_id=run.job.pk,
            task=run.task,
            due_at=run.due_at,
            alarm=alarm,
            event=event.value,
            **({"state": DeliveryState.SUPPRESSED.value} if is_quiet else {}),
        )


def _was_told(alarm: Alarm, event: AlarmEvent, now: datetime) -> bool:
    if alarm.quiet_for <= _QUIETEST:
        return False
    told = Delivery.objects.filter(
        alarm=alarm, event=event.value, created_at__gt=now - alarm.quiet_for
    )
    return told.exclude(state=DeliveryState.SUPPRESSED.value).exists()


def delivery(
    receiver: tuple[Channel, str],
    *,
    once: str,
    payload: dict[str, Any],
    now: datetime,
    **words: Any,
) -> Delivery:
    """Return a new delivery; two of one ``once`` and receiver are the same."""
    channel, target = receiver
    key = hashlib.sha256(f"{once} {channel} {target}".encode()).hexdigest()
    made = Delivery(
        channel=channel.value,
        target=target,
        once_key=key,
        payload=payload,
        created_at=now,
        **words,
    )
    is_pending = made.state == DeliveryState.PENDING
    made.next_at, made.ended_at = (now, None) if is_pending else (None, now)
    return made


def insert(deliveries: list[Delivery]) -> None:
    """Insert what is not there yet; whoever was first has said the same."""
    Delivery.objects.bulk_create(deliveries, ignore_conflicts=True)
