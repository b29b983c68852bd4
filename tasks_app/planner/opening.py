"""Opening: a task for every slot whose instant has come, or a gap that says why not (D-21, D-23).

A job's due expressions are planned together, under the job's lock: what to open and what to
leave out is decided in memory, then written with the moved cursors in one transaction. The unique
constraint of the task table makes doubles impossible, the lock only saves work (X-2, X-9).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet

from jobs.expected import Expectations
from jobs.facts import Facts, Upstream
from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import GapReason, JobStatus, MisfirePolicy
from jobs.rules.offsets import window
from jobs.slots import next_slot
from sentinel_project import prepared
from tasks_app import ledger, transitions
from tasks_app.ledger import gap_of
from tasks_app.models import Gap, SkipMark
from tasks_app.planner import delays
from tasks_app.planner.release import release_waiting
from tasks_app.rules.catchup import Decision, Missed, Slot, decide
from tasks_app.rules.states import Reason, TaskKind, TaskStatus
from tasks_app.transitions import Opening

logger = logging.getLogger(__name__)

#: Jobs planned in one transaction.
BATCH = 200
#: Slots of one expression planned in one pass; what is older than a full pass is over the cap.
MAX_SLOTS = 20_000


@dataclass(slots=True)
class Plan:
    """What one transaction will write."""

    openings: list[Opening] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    #: (expression, where its cursor stood, where it goes)
    cursors: list[tuple[int, datetime, datetime | None]] = field(default_factory=list)
    #: One-offs that have their task: all of their expressions are over.
    ended: list[int] = field(default_factory=list)


def open_due(*, now: datetime) -> int:
    """Open what has come by ``now`` in every ACTIVE job; return how many jobs were looked at."""
    opened = 0
    while job_ids := _due_job_ids(now):
        if ledger.is_system_paused():
            break
        try:
            done = _open_batch(job_ids, now)
        except Exception:
            logger.exception("planner.batch_failed", extra={"jobs": len(job_ids)})
            done = sum(_open_alone(job_id, now) for job_id in job_ids)
        opened += done
        if done < BATCH:
            break
    return opened


def next_due(*, now: datetime) -> datetime | None:
    """Return the next instant at which a slot comes, of ACTIVE jobs."""
    return next(iter(_first_due()), None)


@prepared.select
def _first_due() -> QuerySet[ScheduleExpression, datetime | None]:
    rows = ScheduleExpression.objects.filter(
        next_due_at__isnull=False, job__status=JobStatus.ACTIVE.value
    )
    return rows.order_by("next_due_at").values_list("next_due_at", flat=True)[:1]


def _due_job_ids(now: datetime) -> list[int]:
    return list(dict.fromkeys(_due_jobs(now)))[:BATCH]


@prepared.select
def _due_jobs(now: datetime) -> QuerySet[ScheduleExpression, int]:
    rows = ScheduleExpression.objects.filter(
        next_due_at__lte=now, job__status=JobStatus.ACTIVE.value
    )
    return rows.order_by("next_due_at").values_list("job_id", flat=True)[: BATCH * 2]


@transaction.atomic
def _open_batch(job_ids: Sequence[int], now: datetime) -> int:
    """Plan what nobody else is planning right now; return how many jobs that were."""
    jobs = _locked(job_ids)
    expectations = Expectations()
    expectations.take(jobs)
    cursors = _due_cursors(jobs, now)
    plan = Plan()
    for job in jobs:
        _plan_job(expectations.facts(job.pk), cursors[job.pk], expectations, plan, now)
    _write(plan, now)
    waiting = [o.job.pk for o in plan.openings if o.status is TaskStatus.WAITING]
    if waiting:
        release_waiting(sorted(set(waiting)), expectations, now=now)
    return len(jobs)


@prepared.select
def _locked(job_ids: Sequence[int]) -> QuerySet[Job]:
    rows = Job.objects.select_for_update(of=("self",), skip_locked=True)
    return rows.filter(pk__in=job_ids, status=JobStatus.ACTIVE.value).order_by("pk")


def _open_alone(job_id: int, now: datetime) -> int:
    """Plan one job by itself; if that fails its due expressions are set aside (X-9)."""
    try:
        return _open_batch([job_id], now)
    except Exception as error:
        logger.exception("planner.job_failed", extra={"job_id": job_id})
        rows = ScheduleExpression.objects.filter(job_id=job_id, next_due_at__lte=now)
        rows.update(next_due_at=None, fault=f"{type(error).__name__}: {error}"[:1000])
        return 1


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
    rows = ScheduleExpression.objects.filter(job_id__in=job_ids, next_due_at__lte=now)
    return rows.values_list("job_id", "id", "next_due_at")


def _plan_job(
    facts: Facts,
    cursors: Mapping[int, datetime],
    expectations: Expectations,
    plan: Plan,
    now: datetime,
) -> None:
    slots: list[Slot] = []
    capped: list[Missed] = []
    for series in facts.series:
        if series.id not in cursors:
            continue
        coming = series.schedule.between(cursors[series.id], _after(now))
        come = list(islice(coming, MAX_SLOTS + 1))
        if len(come) > MAX_SLOTS:
            come.pop()
            capped.append(Missed(series.id, _reason_of_old(facts.job), tuple(come)))
        else:
            slots += [Slot(due, series.id) for due in come if facts.job.is_active_at(due)]
        following = next_slot(facts.job, series.schedule, come[-1] if come else now)
        plan.cursors.append((series.id, cursors[series.id], following))
    decision = decide(
        slots,
        now=now,
        grace=settings.SENTINEL_MISFIRE_GRACE,
        policy=MisfirePolicy(facts.job.misfire_policy),
        expire_after=facts.job.expire_after,
    )
    _plan_delays(facts, cursors, decision, plan)
    _plan_openings(facts, decision, expectations, plan, now)
    plan.gaps += [_gap(facts, missed, now) for missed in (*capped, *decision.missed)]


def _plan_delays(
    facts: Facts, cursors: Mapping[int, datetime], decision: Decision, plan: Plan
) -> None:
    """A delay is never missed: it opens late, and not while its last run goes on (D-17)."""
    for expression_id, _ in facts.delays:
        if expression_id in cursors:
            due = cursors[expression_id]
            plan.cursors.append((expression_id, due, None))
            if not delays.has_unfinished(expression_id):
                decision.open.setdefault(due, expression_id)


def _reason_of_old(job: Job) -> GapReason:
    is_kept = job.misfire_policy == MisfirePolicy.ALL
    return GapReason.CAPPED if is_kept else GapReason.SKIPPED


def _plan_openings(
    facts: Facts, decision: Decision, expectations: Expectations, plan: Plan, now: datetime
) -> None:
    """Turn the opened slots into openings, leaving out what had no upstream yet (D-34a)."""
    if facts.job.is_one_off:
        _plan_one_off(facts, decision, plan)
        return
    upstreams = expectations.counting(facts)
    marks = _skip_marks(facts.job, decision.open)
    too_early: dict[int, list[datetime]] = {}
    status = TaskStatus.WAITING if upstreams or facts.job.is_serial else TaskStatus.READY
    for due, expression_id in sorted(decision.open.items()):
        if any(ends_before_floor(facts, up, due, expectations) for up in upstreams):
            too_early.setdefault(expression_id, []).append(due)
        elif due in marks:
            plan.openings.append(_skipped(facts.job, due, expression_id, marks[due]))
        else:
            plan.openings.append(
                Opening(
                    job=facts.job,
                    due_at=due,
                    status=status,
                    expires_at=facts.job.expires_at(due),
                    expression_id=expression_id,
                )
            )
    for expression_id, dues in too_early.items():
        missed = Missed(expression_id, GapReason.NO_UPSTREAM_YET, tuple(dues))
        plan.gaps.append(_gap(facts, missed, now))


def _plan_one_off(facts: Facts, decision: Decision, plan: Plan) -> None:
    """Open the first slot as the only task, and end the schedule (D-25)."""
    for due, expression_id in sorted(decision.open.items())[:1]:
        status = TaskStatus.WAITING if facts.upstreams else TaskStatus.READY
        plan.openings.append(
            Opening(
                job=facts.job,
                due_at=due,
                kind=TaskKind.TEMP,
                status=status,
                expires_at=facts.job.expires_at(due),
                expression_id=expression_id,
            )
        )
        plan.ended.append(facts.job.pk)


def ends_before_floor(
    facts: Facts, upstream: Upstream, due_at: datetime, expectations: Expectations
) -> bool:
    """Tell whether a window ends at or before its upstream's floor and holds no task (D-34a)."""
    source = expectations.facts(upstream.job_id)
    if source.job.is_one_off:
        return False
    span = window(upstream.offset, due_at, facts.job.zone)
    is_past = span.start < source.floor_at if span.is_instant else span.end <= source.floor_at
    return is_past and not expectations.runs(upstream.job_id, span)


def _write(plan: Plan, now: datetime) -> None:
    """Move the cursors by compare-and-set, and open only for those that were still there."""
    moved = set()
    for expression_id, cursor, following in plan.cursors:
        where = {"pk": expression_id, "next_due_at": cursor}
        if prepared.write(ScheduleExpression, where, {"next_due_at": following}):
            moved.add(expression_id)
    if plan.ended:
        ScheduleExpression.objects.filter(job_id__in=plan.ended).update(next_due_at=None)
    plan.openings = [o for o in plan.openings if o.expression_id in moved]
    transitions.open_tasks(plan.openings, now=now)
    Gap.objects.bulk_create([gap for gap in plan.gaps if gap.expression_id in moved])


def _gap(facts: Facts, missed: Missed, now: datetime) -> Gap:
    series = next(series for series in facts.series if series.id == missed.expression_id)
    return gap_of(facts.job, series, missed.due_at, missed.reason, now)


def _skip_marks(job: Job, dues: Iterable[datetime]) -> dict[datetime, SkipMark]:
    wanted = set(dues)
    return {mark.due_at: mark for mark in _marks(job.pk) if mark.due_at in wanted}


@prepared.select
def _marks(job_id: int) -> QuerySet[SkipMark]:
    return SkipMark.objects.filter(job_id=job_id)


def _skipped(job: Job, due_at: datetime, expression_id: int, mark: SkipMark) -> Opening:
    return Opening(
        job=job,
        due_at=due_at,
        status=TaskStatus.REMOVED,
        expression_id=expression_id,
        reason=Reason.SKIPPED_BY_USER,
        reason_text=f"skipped by {mark.user}: {mark.reason}"
        if mark.reason
        else f"skipped by {mark.user}",
        user=mark.user,
    )


def _after(now: datetime) -> datetime:
    return now + timedelta(microseconds=1)
