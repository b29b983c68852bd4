"""Retention of runs: old ended tasks leave with all that hangs on them, and sums stay (X-33).

First a job's horizon moves, under its lock: from then on nothing is owed, named or filled before
it. Only then its tasks leave, batch by batch, each batch adding itself to the sums of its days.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import Count, Exists, Max, Min, OuterRef, Q, QuerySet

from jobs.models import Job
from logs_app import retention as output
from tasks_app.models import Attempt, Batch, Change, Delivery, Event, Task, TaskNote
from tasks_app.retention import sums
from tasks_app.retention.halving import Halving
from tasks_app.retention.horizons import Leaving, leavings
from tasks_app.rules.states import FINAL, UNFINISHED, TaskKind

logger = logging.getLogger(__name__)

BATCH = 200
_FINAL = [status.value for status in FINAL]
_UNFINISHED = [status.value for status in UNFINISHED]
_OWED = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]


@dataclass(frozen=True, slots=True)
class Share:
    """What would leave of one job, and the due times of the first and the last of it."""

    app: str
    job: str
    tasks: int
    attempts: int
    size: int
    first_due: datetime
    last_due: datetime


def preview(*, now: datetime) -> list[Share]:
    """Return what ``delete`` would delete now, job by job, in the order of their names.

    At most, for a run that named one which stays goes with that one.
    """
    shares = (_share(leaving) for leaving in leavings(now=now))
    found = [share for share in shares if share is not None]
    return sorted(found, key=lambda share: (share.app, share.job))


def _share(leaving: Leaving) -> Share | None:
    rows = _old(leaving).order_by()
    told = rows.aggregate(count=Count("pk"), first=Min("due_at"), last=Max("due_at"))
    if not told["count"]:
        return None
    attempts = Attempt.objects.filter(task__in=rows).values_list("pk", flat=True)
    size = output.size_of(attempts)
    words = (told["count"], attempts.count(), size, told["first"], told["last"])
    return Share(leaving.app, leaving.job, *words)


def delete(*, now: datetime, most: int | None = None) -> int:
    """Delete runs that are old enough, about ``most`` at a time; return how many."""
    gone = 0
    batches = Halving(BATCH)
    for leaving in leavings(now=now):
        if leaving.horizon > leaving.begins_at and not _move(leaving):
            leaving.horizon = leaving.begins_at
        while most is None or gone < most:
            count = batches.do(partial(_delete_next, leaving))
            if not count:
                break
            gone += count
    if gone:
        logger.info("tasks.deleted", extra={"tasks": gone})
    return gone


@transaction.atomic
def _move(leaving: Leaving) -> bool:
    """Move a job's horizon. False: something was opened before it meanwhile."""
    Job.objects.select_for_update(no_key=True).get(pk=leaving.job_id)
    unsettled = Task.objects.filter(job_id=leaving.job_id, kind__in=_OWED, status__in=_UNFINISHED)
    if unsettled.filter(due_at__lt=leaving.horizon, due_at__gte=leaving.begins_at).exists():
        return False
    Job.objects.filter(pk=leaving.job_id).update(history_from=leaving.horizon)
    return True


def _delete_next(leaving: Leaving, most: int) -> int:
    """Delete the first runs that may leave, what they printed first if it is much of it."""
    ids = _leaving(leaving).order_by("due_at", "pk").values_list("pk", flat=True)[:most]
    attempts = Attempt.objects.filter(task__in=list(ids))
    output.lighten(list(attempts.values_list("pk", flat=True)))
    return _delete_batch(leaving, most)


@transaction.atomic
def _delete_batch(leaving: Leaving, most: int) -> int:
    """Delete the first runs that may leave, and add them to the sums; return how many."""
    Job.objects.select_for_update(no_key=True).get(pk=leaving.job_id)
    rows = _leaving(leaving).select_for_update(of=("self",), no_key=True, skip_locked=True)
    tasks = list(rows.order_by("due_at", "pk")[:most])
    if not tasks:
        return 0
    ids = [task.pk for task in tasks]
    attempts = list(
        Attempt.objects.filter(task__in=ids).values_list("pk", "task_id", "started_at", "ended_at")
    )
    sums.add(leaving, tasks, [(task_id, start, end) for _, task_id, start, end in attempts])
    output.delete_of([attempt_id for attempt_id, *_ in attempts])
    _delete_rows(ids, tasks)
    return len(ids)


def _delete_rows(ids: Sequence[int], tasks: Iterable[Task]) -> None:
    for model in (TaskNote, Event, Attempt):
        model._default_manager.filter(task__in=ids).delete()
    Task.objects.filter(pk__in=ids).delete()
    batches = {task.batch_id for task in tasks if task.batch_id is not None}
    Batch.objects.filter(
        ~Exists(Task.objects.filter(batch=OuterRef("pk"))), pk__in=batches
    ).delete()


def _leaving(leaving: Leaving) -> QuerySet[Task]:
    """Return the old runs that named none which stays."""
    return _old(leaving).filter(~Exists(Task.objects.filter(named_by=OuterRef("pk"))))


def _old(leaving: Leaving) -> QuerySet[Task]:
    """Return the ended runs of a job that nothing needs any more.

    Reruns wait for their whole batch, and every run for what others are still to be told of it.
    """
    mates = Task.objects.filter(batch=OuterRef("batch"), status__in=_UNFINISHED)
    is_owed = Q(kind__in=_OWED)
    rows = Task.objects.filter(
        Q(is_owed, due_at__lt=leaving.horizon) | Q(~is_owed) & ~Exists(mates),
        job_id=leaving.job_id,
        status__in=_FINAL,
        ended_at__lt=leaving.cutoff,
    )
    return rows.filter(
        ~Exists(Event.objects.filter(task=OuterRef("pk"), processed_at__isnull=True)),
        ~Exists(Change.objects.filter(task=OuterRef("pk"))),
        ~Exists(Delivery.objects.filter(task=OuterRef("pk"))),
    )
