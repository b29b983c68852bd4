"""The slots that a job's expressions owe, and where each of them is (D-21, D-23)."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from jobs.facts import Facts, Series
from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import JobStatus
from tasks_app.models import Gap

#: How long beat may take to open a slot before it counts as missing.
PATIENCE = timedelta(seconds=60)
_EPSILON = timedelta(microseconds=1)


@dataclass(slots=True)
class Owed:
    """Due times that are expected, and which of them a gap accounts for.

    ``unit_of`` says which span of time may hold the run of a due time; None: only itself.
    """

    dues: set[datetime] = field(default_factory=set)
    in_gaps: set[datetime] = field(default_factory=set)
    unit_of: Callable[[datetime], tuple[datetime, datetime]] | None = None

    def among(self, tasks: Collection[datetime]) -> set[datetime]:
        """Return which of the due times have a run among the due times of ``tasks``."""
        there = self.dues.intersection(tasks)
        if self.unit_of is None:
            return there
        ascending = sorted(tasks)
        rest = (due for due in self.dues - there if _any_in(ascending, *self.unit_of(due)))
        return there.union(rest)


def owed(facts: Facts, *, since: datetime | None, is_paused: bool, now: datetime) -> Owed:
    """Return what the expressions of a job owe by ``now``."""
    rows = ScheduleExpression.objects.filter(job=facts.job)
    cursors = dict(rows.values_list("id", "next_due_at"))
    gaps = gaps_of(facts.job)
    found = Owed()
    uncovered: set[datetime] = set()
    for series in facts.series:
        end = _end(facts.job, cursors.get(series.id), is_paused, now)
        covered = Spans(gaps.get(series.id, ()))
        for due in _slots(facts.job, series, since, end):
            found.dues.add(due)
            (found.in_gaps if due in covered else uncovered).add(due)
    # What one expression left out by a gap, another may owe without one.
    found.in_gaps -= uncovered
    return found


def _slots(job: Job, series: Series, since: datetime | None, end: datetime) -> Iterable[datetime]:
    floor = series.floor_at
    start = max(floor, job.active_from or floor, job.history_from or floor, since or floor)
    # A slot exactly at the floor belongs; not if an edit set the floor (D-23).
    is_edited = series.floor_at not in {job.created_at, job.floor_at}
    for due in series.schedule.between(start, max(start, end)):
        if not (is_edited and due == series.floor_at):
            yield due


def _end(job: Job, cursor: datetime | None, is_paused: bool, now: datetime) -> datetime:
    """Return up to where the slots of an expression are settled, or should be by now."""
    end = now + _EPSILON
    if cursor is not None and cursor <= now:
        opens_by_itself = job.status == JobStatus.ACTIVE and not is_paused
        end = max(cursor, now - PATIENCE) if opens_by_itself else cursor
    return min(end, job.active_until or end)


def gaps_of(job: Job) -> dict[int | None, list[tuple[datetime, datetime]]]:
    """Return the spans of a job's gaps by expression; None: of named runs."""
    found: dict[int | None, list[tuple[datetime, datetime]]] = {}
    rows = Gap.objects.filter(job=job).values_list("expression_id", "from_at", "to_at")
    for expression_id, start, end in rows:
        found.setdefault(expression_id, []).append((start, end))
    return found


class Spans:
    """Closed spans of time, joined where they overlap, to look instants up in."""

    def __init__(self, spans: Iterable[tuple[datetime, datetime]]) -> None:
        self._starts: list[datetime] = []
        self._ends: list[datetime] = []
        for start, end in sorted(spans):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __contains__(self, at: object) -> bool:
        assert isinstance(at, datetime)
        place = bisect_right(self._starts, at) - 1
        return place >= 0 and at <= self._ends[place]


def _any_in(dues: Sequence[datetime], start: datetime, end: datetime) -> bool:
    """Tell whether one of the ascending ``dues`` lies in [start, end)."""
    place = bisect_right(dues, start - _EPSILON)
    return place < len(dues) and dues[place] < end
