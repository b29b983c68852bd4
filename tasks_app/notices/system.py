"""What the operators of the installation are told, by the same outbox as everybody else (D-84).

Each thing is told once while it lasts: the key of a delivery says since when it is so.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Min

from jobs.models import ScheduleExpression, WorkerGroup
from tasks_app import workers
from tasks_app.models import Task, Worker
from tasks_app.notices import payloads
from tasks_app.notices.expanding import delivery, insert
from tasks_app.rules.notices import Channel, SystemEvent, receivers
from tasks_app.rules.states import TaskStatus

#: For so long a group may have no worker, which are restarting perhaps.
_PATIENCE = timedelta(minutes=2)
_MOST = 50


def watch_system(*, now: datetime) -> None:
    """Tell what is wrong with the installation; nobody asks where nobody is to be told."""
    if not _receivers():
        return
    for expression in ScheduleExpression.objects.exclude(fault="").select_related("job")[:_MOST]:
        job = expression.job
        subject = f"expression {expression.pk} of job {job.pk} ({job.name})"
        said = f"{expression.text!r} was set aside and opens nothing: {expression.fault}"
        once = f"expression {expression.pk} {expression.fault}"
        tell(SystemEvent.EXPRESSION_FAULT, subject, said, once=once, now=now)
    for group, waiting_since in _abandoned(now):
        subject = f"worker group {group.pk} ({group.name})"
        said = f"no worker is alive, and tasks have been READY since {waiting_since.isoformat()}"
        once = f"group {group.pk} {_last_beat(group)}"
        tell(SystemEvent.NO_WORKERS, subject, said, once=once, now=now)


def tell(event: SystemEvent, subject: str, text: str, *, once: str, now: datetime) -> None:
    """Leave a delivery for each operator; what was told under ``once`` is not told again."""
    payload = payloads.system(event, subject, text, now)
    insert(
        [
            delivery(
                receiver,
                once=f"{event.value} {once}",
                payload=payload,
                now=now,
                event=event.value,
            )
            for receiver in _receivers()
        ]
    )


def _receivers() -> list[tuple[Channel, str]]:
    return receivers(settings.SENTINEL_ALARM_WEBHOOKS, settings.SENTINEL_ALARM_MAILS)


def _abandoned(now: datetime) -> Iterator[tuple[WorkerGroup, datetime]]:
    """Yield the enabled groups whose tasks wait for a worker that is not there, and since when."""
    served = set(workers.live_slots(now))
    ready = Task.objects.filter(status=TaskStatus.READY, ready_at__lte=now - _PATIENCE)
    oldest = (
        ready.filter(worker_group__is_enabled=True)
        .values("worker_group")
        .annotate(since=Min("ready_at"))
    )
    waiting = {row["worker_group"]: row["since"] for row in oldest.order_by("worker_group")}
    for group in WorkerGroup.objects.filter(pk__in=set(waiting) - served).order_by("pk"):
        yield group, waiting[group.pk]


def _last_beat(group: WorkerGroup) -> str:
    """Return what stays the same until a worker of the group comes back."""
    last = Worker.objects.filter(groups=group).order_by("-beat_at").first()
    return last.beat_at.isoformat() if last else "never"
