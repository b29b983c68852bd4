"""Opening: a task for every slot whose instant has come, or a gap that says why not (D-21, D-23).

A job's due expressions are planned together, under the job's lock: what to open and what to
leave out is decided in memory, then written with the moved cursors in one transaction. The unique
constraint of the task table makes doubles impossible, the lock only saves work (X-2, X-9).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from django.db import Error, transaction
from django.db.models import Max, Q, QuerySet

from jobs.expected import Expectations
from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import JobStatus
from jobs.slots import NO_FAULT
from sentinel_project import dbfaults, prepared
from tasks_app import ledger, transitions
from tasks_app.models import Gap
from tasks_app.planner.plans import Plan, plan_job, skip_marks
from tasks_app.planner.release import release_waiting
from tasks_app.rules.aside import pause_after
from tasks_app.rules.states import TaskStatus
from tasks_app.transitions import Opening

logger = logging.getLogger(__name__)

#: Jobs planned in one transaction.
BATCH = 200
_BEGINNING = datetime.min.replace(tzinfo=UTC)


def open_due(*, now: datetime) -> int:
    """Open what has come by ``now`` in every ACTIVE job; return how many jobs were looked at."""
    opened = 0
    while job_ids := _due_job_ids(now):
        if ledger.is_system_paused():
            break
        try:
            done, has_more = _open_batch(job_ids, now)
        except Exception:
            logger.exception("planner.batch_failed", extra={"jobs": len(job_ids)})
            done, has_more = len(job_ids), False
            _open_each(job_ids, now)
        opened += done
        if done < BATCH and not has_more:
            break
    return opened


def next_due(*, now: datetime) -> datetime | None:
    """Return the next instant at which a slot comes, of ACTIVE jobs; not of what is set aside."""
    return next(iter(_first_due(now)), None)


def _not_aside(now: datetime) -> Q:
    return Q(aside_until__isnull=True) | Q(aside_until__lte=now)


@prepared.select
def _first_due(now: datetime) -> QuerySet[ScheduleExpression, datetime | None]:
    # A range, where "not null" would do: SQLite with statistics would go through all jobs instead.
    rows = ScheduleExpression.objects.filter(
        _not_aside(now), next_due_at__gt=_BEGINNING, job__status=JobStatus.ACTIVE.value
    )
    return rows.order_by("next_due_at").values_list("next_due_at", flat=True)[:1]


def _due_job_ids(now: datetime) -> list[int]:
    return list(dict.fromkeys(_due_jobs(now)))[:BATCH]


@prepared.select
def _due_jobs(now: datetime) -> QuerySet[ScheduleExpression, int]:
    rows = ScheduleExpression.objects.filter(
        _not_aside(now), next_due_at__lte=now, job__status=JobStatus.ACTIVE.value
    )
    return rows.order_by("next_due_at").values_list("job_id", flat=True)[: BATCH * 2]


@transaction.atomic
def _open_batch(job_ids: Sequence[int], now: datetime) -> tuple[int, bool]:
    """Plan what nobody else is planning; return how many jobs that were, and if more is due."""
    jobs = _locked(job_ids)
    expectations = Expectations()
    expectations.take(jobs)
    cursors = _due_cursors(jobs, now)
    plan = Plan(skip_marks=skip_marks(list(cursors)))
    for job in jobs:
        plan_job(expectations.facts(job.pk), cursors[job.pk], expectations, plan, now)
    _write(plan, now)
    _release_opened(jobs, [o for o in plan.openings if o.status is TaskStatus.WAITING], now)
    return len(jobs), plan.has_more


def _release_opened(jobs: Sequence[Job], waiting: Sequence[Opening], now: datetime) -> None:
    """Look at what was just opened; who waited before does not go because of it.

    What is more than one transaction should look at is left to events.
    """
    if not waiting:
        return
    # Anew: what was read before the openings and gaps were written is not asked again.
    fresh = Expectations()
    fresh.take(jobs)
    by_id = {opening.job.pk: opening.job for opening in waiting}
    first_due = min(opening.due_at for opening in waiting)
    behind = (first_due, 0, 0)
    if release_waiting(sorted(by_id), fresh, behind=behind, now=now) is not None:
        for job in by_id.values():
            transitions.leave_event(job, now=now)


@prepared.select
def _locked(job_ids: Sequence[int]) -> QuerySet[Job]:
    rows = Job.objects.select_for_update(of=("self",), skip_locked=True, no_key=True)
    return rows.filter(pk__in=job_ids, status=JobStatus.ACTIVE.value).order_by("pk")


def _open_each(job_ids: Sequence[int], now: datetime) -> None:
    """Plan the jobs one by one. What the database refused is raised once all had their turn."""
    refusal: Error | None = None
    for job_id in job_ids:
        try:
            _open_alone(job_id, now)
        except Error as error:
            if dbfaults.is_lost(error):
                raise
            logger.warning("planner.job_refused", extra={"job_id": job_id, "error": str(error)})
            refusal = error
    if refusal is not None:
        raise refusal


def _open_alone(job_id: int, now: datetime) -> None:
    """Plan one job by itself; if that fails its due expressions are set aside (X-9).

    The job is not blamed for an error of the database, be it a lost connection, a column that a
    migration has yet to make or a privilege: its cursors stand, and the next tick tries again.
    """
    try:
        _open_batch([job_id], now)
    except Error:
        raise
    except Exception as error:
        logger.exception("planner.job_failed", extra={"job_id": job_id})
        rows = ScheduleExpression.objects.filter(
            _not_aside(now), job_id=job_id, next_due_at__lte=now
        )
        faults = rows.aggregate(most=Max("faults"))["most"] or 0
        rows.update(
            fault=f"{type(error).__name__}: {error}"[:1000],
            faults=faults + 1,
            aside_until=now + pause_after(faults),
        )


def _due_cursors(jobs: Sequence[Job], now: datetime) -> dict[int, dict[int, datetime]]:
    """Return, by job, the expressions whose cursor has come."""
    found: dict[int, dict[int, datetime]] = {job.pk: {} for job in jobs}
    for job_id, expression_id, cursor in _cursors(list(found), now):
        found[job_id][expression_id] = cursor
    return found


@prepared.select
def _cursors(
    job_ids: Sequence[int], now: datetime
) -> QuerySet[ScheduleExpression, tuple[int, int, Any]]:
    rows = ScheduleExpression.objects.filter(
        _not_aside(now), job_id__in=job_ids, next_due_at__lte=now
    )
    return rows.values_list("job_id", "id", "next_due_at")


def _write(plan: Plan, now: datetime) -> None:
    """Move the cursors, and open only for those that were still where they were read."""
    moved = _moved(plan)
    if plan.ended:
        ScheduleExpression.objects.filter(job_id__in=plan.ended).update(next_due_at=None)
    plan.openings = [o for o in plan.openings if o.expression_id in moved]
    transitions.open_tasks(plan.openings, now=now)
    gaps = [gap for gap in plan.gaps if gap.expression_id in moved]
    Gap.objects.bulk_create(gaps)
    # What is left out by decision is expected no more: whoever waited for it may go (D-23).
    for job in {gap.job_id: gap.job for gap in gaps}.values():
        transitions.leave_event(job, now=now)


def _moved(plan: Plan) -> set[int]:
    """Move cursors by compare-and-set, those that go the same way together; return whose moved."""
    together: dict[tuple[datetime, datetime | None], list[int]] = {}
    for expression_id, cursor, following in plan.cursors:
        together.setdefault((cursor, following), []).append(expression_id)
    moved = set()
    for (cursor, following), ids in together.items():
        # Locked, so that all that still stand there are those that are moved.
        standing = ids if len(ids) == 1 else _standing(ids, cursor)
        where = {"pk__in": standing, "next_due_at": cursor}
        if prepared.write(ScheduleExpression, where, {"next_due_at": following, **NO_FAULT}):
            moved.update(standing)
    return moved


@prepared.select
def _standing(ids: Sequence[int], cursor: datetime) -> QuerySet[ScheduleExpression, int]:
    rows = ScheduleExpression.objects.select_for_update(no_key=True)
    rows = rows.filter(pk__in=ids, next_due_at=cursor)
    return rows.order_by("pk").values_list("pk", flat=True)
