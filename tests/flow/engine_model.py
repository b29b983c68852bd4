"""A deliberately naive model of the ledger: what must be there, and what may have gone.

It knows three periods, four offsets and no database tricks: slots are counted through by the
minute and windows are walked hour by hour, so that it shares nothing with the engine but the rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.models import Job
from jobs.rules.enums import CommonStrategy, GapReason, JobStatus, MisfirePolicy
from tasks_app.models import Gap, Task
from tasks_app.rules.states import DONE, TaskKind, TaskStatus
from tests.engine import SHANGHAI

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DECISIONS = {GapReason.SKIPPED, GapReason.EDITED, GapReason.NO_UPSTREAM_YET}

CRONS = {60: "0 0 * * * ?", 30: "0 0/30 * * * ?", 20: "0 0/20 * * * ?"}


@dataclass(slots=True)
class Plan:
    """One job as it was asked for."""

    job: Job
    #: Minutes between two slots; None: its upstreams name its runs.
    period: int | None
    #: No slot before it is owed, and the one exactly then only if ``is_inclusive`` (D-23).
    since: datetime
    is_inclusive: bool = True
    is_serial: bool = False
    expire_after: timedelta = timedelta(0)
    policy: MisfirePolicy = MisfirePolicy.ALL
    status: JobStatus = JobStatus.ACTIVE
    upstreams: dict[int, tuple[str, CommonStrategy]] = field(default_factory=dict)
    #: Slots that have come while the job was ACTIVE, or were caught up since.
    owed: set[datetime] = field(default_factory=set)
    seen_until: datetime | None = None
    #: Whether anything was ever done to it that changes what its runs name.
    is_touched: bool = False

    def slots(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Count through the slots of [start, end) that are owed by the present schedule."""
        if self.period is None:
            return
        at = start.replace(minute=0, second=0, microsecond=0)
        while at < end:
            is_late_enough = at >= self.since if self.is_inclusive else at > self.since
            if at >= start and is_late_enough:
                yield at
            at += self.period * MINUTE

    def come(self, now: datetime) -> None:
        """Owe what has come by ``now``."""
        start = self.seen_until + MINUTE if self.seen_until else self.since
        self.owed |= set(self.slots(start, now + MINUTE))
        self.seen_until = now

    def begin_anew(self, now: datetime, *, is_inclusive: bool) -> None:
        """Forget what was missed: the floor is now."""
        self.since, self.is_inclusive = now, is_inclusive
        self.seen_until = now - MINUTE if is_inclusive else now
        self.is_touched = True


@dataclass(slots=True)
class Model:
    """All jobs, by their ids."""

    now: datetime
    plans: dict[int, Plan] = field(default_factory=dict)
    is_paused: bool = False

    def come(self) -> None:
        """Owe the slots of ACTIVE jobs up to now."""
        for plan in self.plans.values():
            if plan.status is JobStatus.ACTIVE and not self.is_paused:
                plan.come(self.now)

    def is_satisfied(self, plan: Plan, due: datetime, ledger: Ledger) -> bool | None:
        """Tell whether nothing is missing for a run; None: too deep for this model."""
        answers = [
            self._is_met(self.plans[upstream_id], offset, strategy, due, ledger)
            for upstream_id, (offset, strategy) in plan.upstreams.items()
            if self.plans[upstream_id].status is not JobStatus.DISABLED
        ]
        if plan.is_serial:
            answers.append(None if plan.period is None else _is_next(plan, due, ledger))
        if False in answers:
            return False
        return None if None in answers else True

    def _is_met(
        self,
        upstream: Plan,
        offset: str,
        strategy: CommonStrategy,
        due: datetime,
        ledger: Ledger,
    ) -> bool | None:
        if upstream.period is None:
            return None
        start, end = window(offset, due)
        done = [ledger.is_done(upstream, at) for at in ledger.expected(upstream, start, end)]
        if not done:
            return False
        match strategy:
            case CommonStrategy.ALL:
                return all(done)
            case CommonStrategy.LASTONE:
                return done[-1]
            case CommonStrategy.ANYONE:
                return any(done)


def window(offset: str, due: datetime) -> tuple[datetime, datetime]:
    """Return what an offset looks at, as [start, end)."""
    local = due.astimezone(SHANGHAI)
    hour = local.replace(minute=0, second=0, microsecond=0)
    day = hour.replace(hour=0)
    spans = {
        "": (local, local + MINUTE),
        "ch": (hour, hour + HOUR),
        "h(-1)": (hour - HOUR, hour),
        "cd": (day, day + timedelta(days=1)),
    }
    return spans[offset]


def _is_next(plan: Plan, due: datetime, ledger: Ledger) -> bool:
    """Tell whether the run before is done; an expired one is looked past (D-40)."""
    first = min([plan.since, *ledger.tasks[plan.job.pk]])
    for at in reversed(ledger.expected(plan, first, due)):
        task = ledger.tasks[plan.job.pk].get(at)
        if task is not None and task.status in DONE:
            return True
        is_expired_gap = task is None and ledger.gap_at(plan, at) == GapReason.EXPIRED
        if not is_expired_gap and (task is None or task.reason != "EXPIRED"):
            return False
    return True


class Ledger:
    """What the engine has written, read once: SCHEDULE tasks by job and due time, and gaps."""

    def __init__(self, model: Model) -> None:
        self.tasks: dict[int, dict[datetime, Task]] = {job_id: {} for job_id in model.plans}
        for task in Task.objects.filter(kind=TaskKind.SCHEDULE.value):
            self.tasks[task.job_id][task.due_at] = task
        self.gaps: dict[int, list[Gap]] = {job_id: [] for job_id in model.plans}
        for gap in Gap.objects.all():
            self.gaps[gap.job_id].append(gap)

    def gap_at(self, plan: Plan, at: datetime) -> str | None:
        """Return the reason of the gap that a slot lies in."""
        reasons = [gap.reason for gap in self.gaps[plan.job.pk] if gap.from_at <= at <= gap.to_at]
        return reasons[0] if reasons else None

    def expected(self, plan: Plan, start: datetime, end: datetime) -> list[datetime]:
        """Return the runs that a window ranges over, whether they exist or not (D-32)."""
        owed = {at for at in plan.slots(start, end) if self.gap_at(plan, at) not in DECISIONS}
        there = {at for at in self.tasks[plan.job.pk] if start <= at < end}
        return sorted(owed | there)

    def is_done(self, plan: Plan, at: datetime) -> bool:
        task = self.tasks[plan.job.pk].get(at)
        return task is not None and TaskStatus(task.status) in DONE
