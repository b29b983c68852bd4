"""What the planner knows of a job: its row, its schedules and dependencies, parsed.

Parsing is done once for each revision of a job and kept for the life of the process: every edit
gives the job a new revision, and the revision is read with the job's row each time. Cursors,
which move without an edit, are not among the facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from threading import Lock

from django.db.models import QuerySet

from jobs.models import DependencyEntry, Job, ScheduleExpression
from jobs.rules.enums import CommonStrategy, ExpressionKind, JobStatus
from jobs.rules.offsets import Offset, parse_offset
from jobs.rules.schedule import Delay, Schedule, parse
from sentinel_project import prepared

_NOT_COUNTING = {JobStatus.DISABLED, JobStatus.TRASHED}
_MAX_KEPT = 50_000


@dataclass(frozen=True, slots=True)
class Upstream:
    """One dependency of a job, parsed."""

    job_id: int
    strategy: CommonStrategy
    offset: Offset


@dataclass(frozen=True, slots=True)
class Series:
    """One expression that yields slots."""

    id: int
    kind: ExpressionKind
    text: str
    anchor_at: datetime
    floor_at: datetime
    schedule: Schedule


@dataclass(frozen=True, slots=True)
class Parsed:
    """The parts of a job that only an edit changes."""

    series: tuple[Series, ...]
    delays: tuple[tuple[int, Delay], ...]
    upstreams: tuple[Upstream, ...]


@dataclass(frozen=True, slots=True)
class Facts:
    """A job's row as read in this pass, and its parsed parts."""

    job: Job
    parsed: Parsed

    @property
    def series(self) -> tuple[Series, ...]:
        return self.parsed.series

    @property
    def delays(self) -> tuple[tuple[int, Delay], ...]:
        """The delay expressions, each with its id."""
        return self.parsed.delays

    @property
    def upstreams(self) -> tuple[Upstream, ...]:
        return self.parsed.upstreams

    @property
    def counts(self) -> bool:
        """Tell whether the job counts as somebody's dependency by its status (D-35)."""
        return self.job.status not in _NOT_COUNTING

    @property
    def has_schedule(self) -> bool:
        return bool(self.series or self.delays)

    def text_of(self, expression_id: int) -> str:
        """Return an expression as it is written."""
        texts = {delay_id: delay.text for delay_id, delay in self.delays}
        return texts.get(expression_id) or next(
            (series.text for series in self.series if series.id == expression_id), ""
        )

    @property
    def is_named(self) -> bool:
        """Tell whether its upstreams' runs name its own (D-36)."""
        return bool(self.upstreams) and not self.has_schedule and not self.job.is_one_off

    @property
    def floor_at(self) -> datetime:
        """Return the instant before which no run is expected."""
        return min((series.floor_at for series in self.series), default=self.job.floor_at)


def facts_of(jobs: Iterable[Job]) -> dict[int, Facts]:
    """Return the facts of job rows, parsing what this process has not seen yet."""
    found: dict[int, Facts] = {}
    fresh: list[Job] = []
    for job in jobs:
        parts = _kept.get((job.pk, job.revision))
        if parts is None:
            fresh.append(job)
        else:
            found[job.pk] = Facts(job, parts)
    if fresh:
        found |= _parse(fresh)
    return found


def learn(job: Job, rows: Iterable[ScheduleExpression], entries: Iterable[DependencyEntry]) -> None:
    """Keep the parsed parts of a job that was just stored with these rows: nobody reads them."""
    _keep([Facts(job, _parsed(job, rows, entries))])


def likely_behind(job_id: int) -> list[int]:
    """Return the jobs that a job's names hung on when this process last parsed them.

    A guess of what to read together: it may be out of date, so nothing is to be concluded from it.
    """
    found = {job_id}
    stack = [job_id]
    while stack:
        parts = _latest.get(stack.pop())
        if parts is not None and not (parts.series or parts.delays):
            fresh = {up.job_id for up in parts.upstreams} - found
            found |= fresh
            stack += fresh
    return sorted(found)


_kept: dict[tuple[int, int], Parsed] = {}
_latest: dict[int, Parsed] = {}
_keeping = Lock()


def _parse(jobs: list[Job]) -> dict[int, Facts]:
    """Return the facts of jobs, and keep their parsed parts; what is kept may go at any time."""
    expressions: dict[int, list[ScheduleExpression]] = {job.pk: [] for job in jobs}
    for row in _expressions(list(expressions)):
        expressions[row.job_id].append(row)
    entries: dict[int, list[DependencyEntry]] = {job.pk: [] for job in jobs}
    for entry in _entries(list(entries)):
        entries[entry.job_id].append(entry)
    found = {job.pk: Facts(job, _parsed(job, expressions[job.pk], entries[job.pk])) for job in jobs}
    _keep(found.values())
    return found


def _keep(found: Iterable[Facts]) -> None:
    with _keeping:
        if len(_kept) > _MAX_KEPT:
            _kept.clear()
            _latest.clear()
        for facts in found:
            _kept[facts.job.pk, facts.job.revision] = facts.parsed
            _latest[facts.job.pk] = facts.parsed


@prepared.select
def _expressions(job_ids: Sequence[int]) -> QuerySet[ScheduleExpression]:
    return ScheduleExpression.objects.filter(job_id__in=job_ids).order_by("id")


@prepared.select
def _entries(job_ids: Sequence[int]) -> QuerySet[DependencyEntry]:
    return DependencyEntry.objects.filter(job_id__in=job_ids).order_by("id")


def _parsed(
    job: Job, rows: Iterable[ScheduleExpression], entries: Iterable[DependencyEntry]
) -> Parsed:
    series: list[Series] = []
    delays: list[tuple[int, Delay]] = []
    for row in rows:
        kind = ExpressionKind(row.kind)
        schedule = parse(kind, row.text, zone=job.zone, saved_at=row.anchor_at)
        if isinstance(schedule, Delay):
            delays.append((row.pk, schedule))
        else:
            series.append(Series(row.pk, kind, row.text, row.anchor_at, row.floor_at, schedule))
    return Parsed(tuple(series), tuple(delays), tuple(_upstream(entry) for entry in entries))


def _upstream(entry: DependencyEntry) -> Upstream:
    strategy = CommonStrategy(entry.common_strategy)
    return Upstream(entry.upstream_id, strategy, parse_offset(entry.offset))


def naming_of(upstreams: Iterable[Upstream]) -> list[Upstream]:
    """Return the dependencies that name a schedule-less job's runs (D-36)."""
    holding = [up for up in upstreams if up.offset.holds_due]
    empty = [up for up in holding if up.offset.unit is None]
    return empty or holding
