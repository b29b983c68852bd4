"""A naive model of the ledger: what must be there, and what may have gone.

It knows six schedules, four offsets and no database tricks. Slots and windows are looked up in
``naive_time``; the ledger is read whole, once for every look at it. Nothing of the engine that
decides is imported, so that the two share the rules and nothing else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.models import Job
from jobs.rules.enums import CommonStrategy, GapReason, JobStatus, MisfirePolicy
from tasks_app.models import Gap, Task
from tasks_app.rules.states import DONE, TaskKind, TaskStatus
from tests.flow.naive_time import Clock, Pattern, clock_of, slots_of

S = TaskStatus
DECISIONS = {GapReason.SKIPPED, GapReason.EDITED, GapReason.NO_UPSTREAM_YET}
OFF = {JobStatus.DISABLED, JobStatus.TRASHED}
MAX_CAUGHT_UP = 100
_INSTANT = timedelta(microseconds=1)

#: What a verb makes of a task, at once; what it leaves as it is is not listed (D-50 to D-54).
MOVES: dict[str, dict[TaskStatus, TaskStatus]] = {
    "kill": {S.WAITING: S.KILLED, S.READY: S.KILLED},
    "retry": {S.FAILED: S.READY, S.KILLED: S.READY},
    "remove": dict.fromkeys([S.WAITING, S.READY, S.FAILED, S.KILLED], S.REMOVED),
    "success": dict.fromkeys([S.WAITING, S.READY, S.RUNNING, S.FAILED, S.KILLED], S.SUCCESS),
    "failed": dict.fromkeys([S.WAITING, S.READY, S.RUNNING, S.FAILED, S.KILLED], S.FAILED),
}


@dataclass(slots=True)
class Plan:
    """One job as it was asked for."""

    job: Job
    #: None: its upstreams name its runs.
    pattern: Pattern | None
    zone: str
    #: No slot before it is owed (D-23).
    floor: datetime
    is_serial: bool = False
    expire_after: timedelta = timedelta(0)
    policy: MisfirePolicy = MisfirePolicy.ALL
    status: JobStatus = JobStatus.ACTIVE
    upstreams: dict[int, tuple[str, CommonStrategy]] = field(default_factory=dict)
    #: Slots that have come while the job was ACTIVE, or were caught up since.
    opened: set[datetime] = field(default_factory=set)
    left_out: dict[datetime, GapReason] = field(default_factory=dict)
    #: Future slots that an operator has marked, and those that came so (D-55).
    marked: set[datetime] = field(default_factory=set)
    skipped: set[datetime] = field(default_factory=set)
    seen_until: datetime | None = None
    #: Whether anything was ever done to it that changes what its runs name.
    is_touched: bool = False
    #: Whether a run of it may have been kept from expiring by its order alone (D-24).
    was_serial: bool = False

    def begin_anew(self, floor: datetime) -> None:
        """Forget what was missed, and what was to be skipped."""
        self.floor, self.seen_until, self.is_touched = floor, None, True
        self.left_out = {at: reason for at, reason in self.left_out.items() if at < floor}


@dataclass(slots=True)
class Model:
    """All jobs, by their ids."""

    now: datetime
    start: datetime
    plans: dict[int, Plan] = field(default_factory=dict)
    is_paused: bool = False

    def clock(self, plan: Plan) -> Clock:
        return clock_of(plan.zone, self.start)

    def all_slots(self, plan: Plan) -> tuple[datetime, ...]:
        return slots_of(plan.zone, self.start, plan.pattern) if plan.pattern else ()

    def slots(self, plan: Plan, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the slots of [start, end) that the present schedule owes."""
        slots = self.all_slots(plan)
        yield from slots[bisect_left(slots, max(start, plan.floor)) : bisect_left(slots, end)]

    # -- opening -----------------------------------------------------------------------------------

    def come(self, now: datetime) -> bool:
        """Open or leave out what has come by ``now``, as a planner has to; tell if it was any."""
        if self.is_paused:
            return False
        fresh = {
            job_id: self._fresh(plan, now)
            for job_id, plan in self.plans.items()
            if plan.status is JobStatus.ACTIVE
        }
        ledger = Ledger(self) if any(fresh.values()) else None
        for job_id, slots in fresh.items():
            plan = self.plans[job_id]
            plan.seen_until = max(now, plan.seen_until or now)
            if ledger is not None and slots:
                self._open(plan, slots, ledger, now)
        return ledger is not None

    def _fresh(self, plan: Plan, now: datetime) -> list[datetime]:
        """Return the slots that no pass has looked at yet."""
        since = plan.floor if plan.seen_until is None else plan.seen_until + _INSTANT
        skipped = GapReason.EDITED
        slots = self.slots(plan, since, now + _INSTANT)
        return [at for at in slots if plan.left_out.get(at) is not skipped]

    def _open(self, plan: Plan, fresh: list[datetime], ledger: Ledger, now: datetime) -> None:
        reasons = _left_out([at for at in fresh if at < now], plan, now)
        for at in fresh:
            if at not in reasons and self._is_too_early(plan, at, ledger):
                reasons[at] = GapReason.NO_UPSTREAM_YET
        plan.left_out |= {at: reason for at, reason in reasons.items() if at not in plan.opened}
        plan.opened |= set(fresh) - set(reasons)
        plan.skipped |= plan.marked.intersection(fresh) - set(reasons) - ledger.dues(plan)

    def _is_too_early(self, plan: Plan, due: datetime, ledger: Ledger) -> bool:
        """Tell whether some window ends before its upstream owed anything (D-34a)."""
        for upstream, offset, _ in self.counting(plan):
            start, end = self.clock(plan).window(offset, due)
            is_past = start < upstream.floor if offset == "" else end <= upstream.floor
            if is_past and not any(start <= at < end for at in ledger.dues(upstream)):
                return True
        return False

    def fill(self, plan: Plan, start: datetime, end: datetime) -> None:
        """Open what was left out in [start, end] (D-55)."""
        for at in [at for at in plan.left_out if start <= at <= end]:
            del plan.left_out[at]
            plan.opened.add(at)

    def edit_schedule(self, plan: Plan, pattern: Pattern) -> datetime | None:
        """Take the new schedule; return the slot that is skipped, if any (D-57)."""
        old = self.all_slots(plan)
        plan.pattern = pattern
        plan.begin_anew(self.now + _INSTANT)
        plan.marked.clear()
        new = self.all_slots(plan)
        prev = max(at for at in new if at < self.now)
        following = min(at for at in new if at > self.now)
        between = [at for at in old if prev < at < following]
        if len(between) != 1 or following - between[0] >= between[0] - prev:
            return None
        task = Ledger(self).tasks[plan.job.pk].get(between[0])
        if task is None or task.status in {S.WAITING, S.REMOVED}:
            return None
        plan.left_out[following] = GapReason.EDITED
        return following

    # -- release -----------------------------------------------------------------------------------

    def counting(self, plan: Plan) -> Iterator[tuple[Plan, str, CommonStrategy]]:
        """Yield the dependencies that count (D-35)."""
        for upstream_id, (offset, strategy) in plan.upstreams.items():
            if self.plans[upstream_id].status not in OFF:
                yield self.plans[upstream_id], offset, strategy

    def is_satisfied(self, plan: Plan, due: datetime, ledger: Ledger) -> bool | None:
        """Tell whether nothing is missing for a run; None: too deep for this model."""
        answers = [
            self._is_met(upstream, self.clock(plan).window(offset, due), strategy, ledger)
            for upstream, offset, strategy in self.counting(plan)
        ]
        if plan.is_serial:
            answers.append(self._is_next(plan, due, ledger) if plan.pattern else None)
        if False in answers:
            return False
        return None if None in answers else True

    def _is_met(
        self,
        upstream: Plan,
        window: tuple[datetime, datetime],
        strategy: CommonStrategy,
        ledger: Ledger,
    ) -> bool | None:
        if upstream.pattern is None:
            return None
        done = [ledger.is_done(upstream, at) for at in self._expected(upstream, *window, ledger)]
        if not done:
            return False
        match strategy:
            case CommonStrategy.ALL:
                return all(done)
            case CommonStrategy.LASTONE:
                return done[-1]
            case CommonStrategy.ANYONE:
                return any(done)

    def _expected(
        self, plan: Plan, start: datetime, end: datetime, ledger: Ledger
    ) -> list[datetime]:
        """Return the runs that a window ranges over, whether they exist or not (D-32)."""
        owed = {at for at in self.slots(plan, start, end) if plan.left_out.get(at) not in DECISIONS}
        there = {at for at in ledger.dues(plan) if start <= at < end}
        return sorted(owed | there)

    def _is_next(self, plan: Plan, due: datetime, ledger: Ledger) -> bool:
        """Tell whether the run before is done; an expired one is looked past (D-40)."""
        first = min([plan.floor, *ledger.dues(plan)])
        for at in reversed(self._expected(plan, first, due, ledger)):
            task = ledger.tasks[plan.job.pk].get(at)
            if task is not None and task.status in DONE:
                return True
            is_expired = (task.reason if task else plan.left_out.get(at)) == "EXPIRED"
            if not is_expired:
                return False
        return True


def _left_out(missed: list[datetime], plan: Plan, now: datetime) -> dict[datetime, GapReason]:
    """Return why missed slots are not opened (D-23); the others are."""
    is_late = {at: bool(plan.expire_after) and now - at >= plan.expire_after for at in missed}
    if plan.policy is MisfirePolicy.SKIP:
        return dict.fromkeys(missed, GapReason.SKIPPED)
    if plan.policy is MisfirePolicy.LAST:
        reasons = dict.fromkeys(missed[:-1], GapReason.SKIPPED)
        return reasons | {at: GapReason.EXPIRED for at in missed[-1:] if is_late[at]}
    reasons = {at: GapReason.EXPIRED for at in missed if is_late[at]}
    in_time = [at for at in missed if not is_late[at]]
    return reasons | dict.fromkeys(in_time[:-MAX_CAUGHT_UP], GapReason.CAPPED)


class Ledger:
    """What the engine has written, read once: SCHEDULE tasks by job and due time, and gaps."""

    def __init__(self, model: Model) -> None:
        self.tasks: dict[int, dict[datetime, Task]] = {job_id: {} for job_id in model.plans}
        for task in Task.objects.filter(kind=TaskKind.SCHEDULE.value):
            self.tasks[task.job_id][task.due_at] = task
        self.gaps: dict[int, list[Gap]] = {job_id: [] for job_id in model.plans}
        for gap in Gap.objects.all():
            self.gaps[gap.job_id].append(gap)

    def dues(self, plan: Plan) -> set[datetime]:
        return set(self.tasks[plan.job.pk])

    def reason_at(self, plan: Plan, at: datetime) -> str | None:
        """Return the reason of the gap that a slot lies in."""
        reasons = [gap.reason for gap in self.gaps[plan.job.pk] if gap.from_at <= at <= gap.to_at]
        return reasons[0] if reasons else None

    def is_done(self, plan: Plan, at: datetime) -> bool:
        task = self.tasks[plan.job.pk].get(at)
        return task is not None and TaskStatus(task.status) in DONE
