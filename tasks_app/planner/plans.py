"""What a pass will write for one job: its openings, its gaps and where its cursors go.

Planning only reads. Whoever has planned writes everything in one transaction, and only for the
cursors that still stood where they were read (D-21, X-9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice

from django.conf import settings
from django.db.models import QuerySet

from jobs.expected import Expectations
from jobs.facts import Facts, Upstream
from jobs.models import Job
from jobs.rules.enums import GapReason, MisfirePolicy
from jobs.rules.offsets import window
from jobs.slots import next_slot
from sentinel_project import prepared
from tasks_app import ledger
from tasks_app.models import Gap, SkipMark
from tasks_app.rules.catchup import Decision, Missed, Slot, decide, gaps_of, old_reasons
from tasks_app.rules.states import Reason, TaskKind, TaskStatus
from tasks_app.transitions import Opening

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
    #: Some expression has more slots than one pass takes.
    has_more: bool = False
    #: By job, the due times that are to be left out, as read under the jobs' locks.
    skip_marks: Mapping[int, Mapping[datetime, SkipMark]] = field(default_factory=dict)


def plan_job(
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
            capped += _old_gaps(facts.job, series.id, come, now)
            plan.has_more = True
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
            if not ledger.has_unfinished_delay(facts.job.pk):
                decision.open.setdefault(due, []).append(expression_id)


def _old_gaps(job: Job, expression_id: int, come: list[datetime], now: datetime) -> list[Missed]:
    """Leave out a full pass of slots, none of which is among the newest (D-23)."""
    slots = [due for due in come if job.is_active_at(due)]
    policy = MisfirePolicy(job.misfire_policy)
    reasons = old_reasons(slots, now=now, policy=policy, expire_after=job.expire_after)
    return gaps_of(expression_id, reasons)


def _plan_openings(
    facts: Facts, decision: Decision, expectations: Expectations, plan: Plan, now: datetime
) -> None:
    """Turn the opened slots into openings, leaving out what had no upstream yet (D-34a)."""
    if facts.job.is_one_off:
        _plan_one_off(facts, decision, plan)
        return
    upstreams = expectations.counting(facts)
    marks = plan.skip_marks.get(facts.job.pk, {})
    too_early: dict[int, list[datetime]] = {}
    status = TaskStatus.WAITING if upstreams or facts.job.is_serial else TaskStatus.READY
    for due, names in sorted(decision.open.items()):
        if any(ends_before_floor(facts, up, due, expectations) for up in upstreams):
            for expression_id in names:
                too_early.setdefault(expression_id, []).append(due)
        elif due in marks:
            plan.openings.append(_skipped(facts, due, names[0], marks[due]))
        else:
            plan.openings.append(
                Opening(
                    job=facts.job,
                    due_at=due,
                    status=status,
                    expires_at=facts.job.expires_at(due),
                    expression_id=names[0],
                    expression=facts.text_of(names[0]),
                )
            )
    for expression_id, dues in too_early.items():
        missed = Missed(expression_id, GapReason.NO_UPSTREAM_YET, tuple(dues))
        plan.gaps.append(_gap(facts, missed, now))


def _plan_one_off(facts: Facts, decision: Decision, plan: Plan) -> None:
    """Open the first slot as the only task, and end the schedule (D-25)."""
    for due, names in sorted(decision.open.items())[:1]:
        status = TaskStatus.WAITING if facts.upstreams else TaskStatus.READY
        plan.openings.append(
            Opening(
                job=facts.job,
                due_at=due,
                kind=TaskKind.TEMP,
                status=status,
                expires_at=facts.job.expires_at(due),
                expression_id=names[0],
                expression=facts.text_of(names[0]),
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


def _gap(facts: Facts, missed: Missed, now: datetime) -> Gap:
    series = next(series for series in facts.series if series.id == missed.expression_id)
    return ledger.gap_of(facts.job, series, missed.due_at, missed.reason, now)


def skip_marks(job_ids: Sequence[int]) -> dict[int, dict[datetime, SkipMark]]:
    """Return the marks of jobs by their due times."""
    found: dict[int, dict[datetime, SkipMark]] = {}
    for mark in _marks(job_ids):
        found.setdefault(mark.job_id, {})[mark.due_at] = mark
    return found


@prepared.select
def _marks(job_ids: Sequence[int]) -> QuerySet[SkipMark]:
    return SkipMark.objects.filter(job_id__in=job_ids)


def _skipped(facts: Facts, due_at: datetime, expression_id: int, mark: SkipMark) -> Opening:
    return Opening(
        job=facts.job,
        due_at=due_at,
        status=TaskStatus.REMOVED,
        expression_id=expression_id,
        expression=facts.text_of(expression_id),
        reason=Reason.SKIPPED_BY_USER,
        reason_text=f"skipped by {mark.user}: {mark.reason}"
        if mark.reason
        else f"skipped by {mark.user}",
        user=mark.user,
    )


def _after(now: datetime) -> datetime:
    return now + timedelta(microseconds=1)
