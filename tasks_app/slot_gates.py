"""The gates of a due time that has no task: is a run owed, and has its time come (D-70)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from jobs.expected import Expectations
from jobs.facts import naming_of
from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import GapReason
from jobs.rules.windows import Window
from tasks_app.gates import Gate, blocked
from tasks_app.models import DailySum, Gap, SkipMark
from tasks_app.rules.states import Reason, TaskKind

_OWED = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]
_GAPS = {
    GapReason.SKIPPED: "missed, and the misfirePolicy leaves it out",
    GapReason.EDITED: "an edit of the schedule came first, or would have run its cycle twice",
    GapReason.NO_UPSTREAM_YET: "its window ends before the upstream began",
    GapReason.EXPIRED: "missed, and too late to start by expiredTime",
    GapReason.CAPPED: "missed, and older than the 100 newest",
}


def window_gate(job: Job, due_at: datetime) -> Gate:
    if job.is_active_at(due_at):
        return Gate(name="active_window")
    text = "the due time lies outside activeStartDate and activeEndDate; change them"
    return blocked("active_window", Reason.NOT_A_SLOT, text)


def slot_gate(job: Job, due_at: datetime, expectations: Expectations, *, now: datetime) -> Gate:
    """Tell whether the run is owed at all, and name the gap it lay in by ``now`` if it is not."""
    gaps = Gap.objects.filter(job=job, from_at__lte=due_at, to_at__gte=due_at, created_at__lte=now)
    gap = gaps.first()
    has_left = job.has_left(due_at)
    if gap is not None:
        act = "" if has_left else "; fill the gap"
        text = f"it was not opened: {gap.reason} ({_GAPS[GapReason(gap.reason)]}){act}"
        return blocked("slot", Reason.IN_A_GAP, text, since=gap.created_at)
    instant = Window(due_at, due_at + timedelta(microseconds=1))
    if any(run.due_at == due_at for run in expectations.runs(job.pk, instant)):
        return Gate(name="slot")
    left = _left(job, due_at) if has_left else None
    if left is not None:
        return left
    is_named = expectations.facts(job.pk).is_named
    source = "run of its upstreams names" if is_named else f"expression of job {job.pk} yields"
    text = f"no {source} this due time, or it lies before the job's floor"
    return blocked("slot", Reason.NOT_A_SLOT, text)


def _left(job: Job, due_at: datetime) -> Gate | None:
    """Tell that the run was removed by retention; None: none of that day was (X-33)."""
    day = due_at.astimezone(job.zone).date()
    rows = DailySum.objects.filter(job=job, day=day, kind__in=_OWED)
    told = ", ".join(day.counts() for day in rows)
    if not told:
        return None
    text = f"its task was removed by retention; of the runs due on {day} the sums are left: {told}"
    expectations = Expectations(bounded=False)
    facts = expectations.facts(job.pk)
    instant = Window(due_at, due_at + timedelta(microseconds=1))
    # Of a one-off and of a delay no schedule tells what their due times were.
    if not (job.is_one_off or facts.delays or expectations.runs(job.pk, instant)):
        text = f"no run is due then by today's schedule; of those of {day} that were removed by"
        return blocked("slot", Reason.NOT_A_SLOT, f"{text} retention the sums are left: {told}")
    return blocked("slot", Reason.REMOVED_BY_RETENTION, text)


def opened_gate(job: Job, due_at: datetime, system: Gate, *, now: datetime) -> Gate:
    """Tell what keeps a slot from being opened; ``system``: the gate of the whole-system pause."""
    mark = SkipMark.objects.filter(job=job, due_at=due_at, created_at__lte=now).first()
    if mark is not None:
        text = f"an operator ({mark.user}) marked it to be skipped"
        return blocked("opened", Reason.SKIPPED_BY_USER, text, since=mark.created_at)
    facts = Expectations().facts(job.pk)
    if due_at > now and not facts.is_named:
        return blocked("opened", Reason.NOT_DUE, "its due time has not come yet")
    if system.is_blocking:
        return replace(system, name="opened")
    if facts.is_named:
        namers = " or ".join(f"job {up.job_id}" for up in naming_of(facts.upstreams))
        text = f"it opens when a run of {namers} that names it is done"
        return blocked("opened", Reason.NOT_OPENED, text)
    aside = _set_aside(job, due_at)
    if aside is not None:
        text = f"planning {aside.text} failed ({aside.fault}); it is tried again by itself"
        return blocked("opened", Reason.NOT_OPENED, text, since=due_at)
    text = "no scheduler has opened it yet; is a beat alive?"
    return blocked("opened", Reason.NOT_OPENED, text, since=due_at)


def _set_aside(job: Job, due_at: datetime) -> ScheduleExpression | None:
    """Return the expression whose fault keeps a slot of then from being opened (X-9)."""
    rows = ScheduleExpression.objects.filter(job=job, next_due_at__lte=due_at)
    return rows.filter(aside_until__isnull=False).first()
