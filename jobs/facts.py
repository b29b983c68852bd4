"""What the planner knows of a job: its row, its schedules and dependencies, parsed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from jobs.models import DependencyEntry, Job, ScheduleExpression
from jobs.rules.enums import CommonStrategy, ExpressionKind, JobStatus
from jobs.rules.offsets import Offset, parse_offset
from jobs.rules.schedule import Delay, Schedule, parse

_NOT_COUNTING = {JobStatus.DISABLED, JobStatus.TRASHED}


@dataclass(frozen=True, slots=True)
class Upstream:
    """One dependency of a job, parsed."""

    job_id: int
    strategy: CommonStrategy
    offset: Offset


@dataclass(slots=True)
class Facts:
    """What is read of a job once per pass."""

    job: Job
    expressions: list[tuple[ScheduleExpression, Schedule]] = field(default_factory=list)
    delays: list[tuple[ScheduleExpression, Delay]] = field(default_factory=list)
    upstreams: list[Upstream] = field(default_factory=list)

    @property
    def counts(self) -> bool:
        """Tell whether the job counts as somebody's dependency by its status (D-35)."""
        return self.job.status not in _NOT_COUNTING

    @property
    def has_schedule(self) -> bool:
        return bool(self.expressions or self.delays)

    @property
    def floor_at(self) -> datetime:
        """Return the instant before which no run is expected."""
        floors = [expression.floor_at for expression, _ in self.expressions]
        return min(floors, default=self.job.floor_at)


def parsed(entry: DependencyEntry) -> Upstream:
    strategy = CommonStrategy(entry.common_strategy)
    return Upstream(entry.upstream_id, strategy, parse_offset(entry.offset))


def add_expression(facts: Facts, row: ScheduleExpression) -> None:
    kind = ExpressionKind(row.kind)
    schedule = parse(kind, row.text, zone=facts.job.zone, saved_at=row.anchor_at)
    if isinstance(schedule, Delay):
        facts.delays.append((row, schedule))
    else:
        facts.expressions.append((row, schedule))


def naming_of(upstreams: Iterable[Upstream]) -> list[Upstream]:
    """Return the dependencies that name a schedule-less job's runs (D-36)."""
    holding = [up for up in upstreams if up.offset.holds_due]
    empty = [up for up in holding if up.offset.unit is None]
    return empty or holding
