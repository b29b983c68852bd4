"""Expected runs: which runs of a job a window ranges over, whether their tasks exist or not.

The runs a dependency waits for are computed from schedules, not read off the task table (D-32):
an hourly upstream owes 24 runs a day even before the first one has been opened.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import QuerySet

from jobs.facts import Facts, Series, Upstream, facts_of, naming_of
from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import GapReason
from jobs.rules.offsets import shift, truncate, window
from jobs.rules.windows import Window
from sentinel_project import prepared
from tasks_app.models import Gap, Task
from tasks_app.rules.states import DONE, Reason, TaskKind, TaskStatus

_DECISIONS = [reason.value for reason in GapReason if not reason.is_loss]
_REMOVED_BY_OPERATOR = {Reason.REMOVED_BY_USER, Reason.SKIPPED_BY_USER}
_EPSILON = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class ExpectedRun:
    """A due time of an upstream, and how far its run is. ``status`` None: no task yet."""

    due_at: datetime
    status: TaskStatus | None = None
    reason: str = ""

    @property
    def is_done(self) -> bool:
        return self.status in DONE

    @property
    def names(self) -> bool:
        """Tell whether it can name a dependent's run: not if no operator removed it (D-36)."""
        return self.status is not TaskStatus.REMOVED or self.reason in _REMOVED_BY_OPERATOR


class Expectations:
    """The expected runs of any job, memoised for one pass over a consistent state.

    ``bounded=False`` forgets floors, active windows and gaps: the slots a rerun ranges over (D-51).
    """

    def __init__(self, *, bounded: bool = True) -> None:
        self._bounded = bounded
        self._facts: dict[int, Facts] = {}

    def facts(self, job_id: int) -> Facts:
        """Return a job with its parsed schedule and dependencies."""
        if job_id not in self._facts:
            self.load([job_id])
        return self._facts[job_id]

    def load(self, job_ids: Iterable[int]) -> None:
        """Read several jobs at once."""
        wanted = [job_id for job_id in job_ids if job_id not in self._facts]
        if not wanted:
            return
        self.take(_jobs(wanted))

    def take(self, jobs: Iterable[Job]) -> None:
        """Use job rows that were read, and locked, already."""
        self._facts |= facts_of(jobs)

    def counting(self, facts: Facts) -> list[Upstream]:
        """Return the dependencies of a job that count by their upstream's status (D-35)."""
        self.load(upstream.job_id for upstream in facts.upstreams)
        return [up for up in facts.upstreams if self.facts(up.job_id).counts]

    def runs(self, job_id: int, span: Window) -> list[ExpectedRun]:
        """Return the expected runs of a job in ``span``, ascending, with the state of each.

        A one-off is looked at wherever its only task lies (D-33).
        """
        job = self.facts(job_id).job
        if job.is_one_off:
            return self._one_off(job_id)
        tasks = {run.due_at: run for run in _tasks(job_id, span)}
        for due in self._slots(job_id, span):
            tasks.setdefault(due, ExpectedRun(due))
        return [tasks[due] for due in sorted(tasks)]

    def latest(self, job_id: int, span: Window) -> ExpectedRun | None:
        """Return the last of ``runs`` without computing the others, however long the window."""
        facts = self.facts(job_id)
        if facts.job.is_one_off or not facts.has_schedule:
            return max(self.runs(job_id, span), key=lambda run: run.due_at, default=None)
        last = _last_task(job_id, span)
        slots = [self._last_slot(facts, series, span) for series in facts.series]
        due = max((slot for slot in slots if slot is not None), default=None)
        if due is None or (last is not None and last.due_at >= due):
            return last
        return ExpectedRun(due)

    def named(self, job_id: int, instant: datetime) -> datetime | None:
        """Return the due time that an upstream run due at ``instant`` names (D-36), or None."""
        facts = self.facts(job_id)
        is_early = self._bounded and instant < facts.job.floor_at
        if facts.has_schedule or is_early:
            return None
        naming = naming_of(self.counting(facts))
        if not naming:
            return None
        if naming[0].offset.unit is None:
            name: datetime | None = instant
        else:
            name = self._latest_named(facts, naming, instant)
        is_kept = name is not None and (not self._bounded or facts.job.is_active_at(name))
        return name if is_kept else None

    def first_due(self, job_id: int) -> datetime:
        """Return the instant before which a job has neither task nor expected run."""
        floor = self.facts(job_id).floor_at
        return min(floor, _first_task_due(job_id) or floor)

    # -- slots -------------------------------------------------------------------------------

    def _slots(self, job_id: int, span: Window) -> set[datetime]:
        facts = self.facts(job_id)
        if facts.has_schedule:
            slots: set[datetime] = set()
            for series in facts.series:
                bounds = self._bounds(facts.job, series.floor_at, span)
                come = series.schedule.between(bounds.start, bounds.end)
                slots |= self._uncovered(job_id, series.id, come)
            return slots
        return self._uncovered(job_id, None, self._names(facts, span))

    def _last_slot(self, facts: Facts, series: Series, span: Window) -> datetime | None:
        bounds = self._bounds(facts.job, series.floor_at, span)
        slot = series.schedule.before(bounds.end)
        while slot is not None and slot >= bounds.start:
            gaps = _decisions(facts.job.pk, series.id, slot, slot)
            if not gaps:
                return slot
            slot = series.schedule.before(gaps[0][0])
        return None

    def _names(self, facts: Facts, span: Window) -> list[datetime]:
        """Return the due times in ``span`` that upstream runs name (D-33, D-36)."""
        naming = naming_of(self.counting(facts))
        if not naming:
            return []
        bounds = self._bounds(facts.job, facts.job.floor_at, span)
        if naming[0].offset.unit is None:
            return sorted({due for up in naming for due in self._dues(up.job_id, bounds)})
        named = {self._name_of_unit(facts, naming, t) for t in _units(facts.job, naming, bounds)}
        return sorted(due for due in named if due and bounds.start <= due < bounds.end)

    def _name_of_unit(
        self, facts: Facts, naming: list[Upstream], start: datetime
    ) -> datetime | None:
        """Return what the runs due in the calendar unit at ``start`` name; None: it has none."""
        unit = naming[0].offset.unit
        assert unit is not None
        end = shift(unit, start, 1, facts.job.zone)
        span = Window(max(start, facts.job.floor_at) if self._bounded else start, end)
        if span.start >= end or not any(self._dues(up.job_id, span) for up in naming):
            return None
        return self._latest_named(facts, naming, start)

    def _latest_named(
        self, facts: Facts, naming: list[Upstream], instant: datetime
    ) -> datetime | None:
        latest = [
            max(self._dues(up.job_id, window(up.offset, instant, facts.job.zone)), default=None)
            for up in naming
        ]
        return max((due for due in latest if due is not None), default=None)

    def _dues(self, job_id: int, span: Window) -> list[datetime]:
        """Return the due times of runs in ``span`` that can name, a one-off's if it lies there."""
        runs = self.runs(job_id, span)
        return [run.due_at for run in runs if run.names and span.contains(run.due_at)]

    def _bounds(self, job: Job, floor: datetime, span: Window) -> Window:
        """Cut ``span`` to where the job owes runs: from its floor on, inside its active window."""
        span = half_open(span)
        if not self._bounded:
            return span
        start = max(span.start, floor, job.active_from or floor)
        end = min(span.end, job.active_until or span.end)
        return Window(start, max(start, end))

    def _uncovered(
        self, job_id: int, expression_id: int | None, dues: Iterable[datetime]
    ) -> set[datetime]:
        """Leave out the slots that nobody expects by decision (D-23)."""
        slots = list(dues)
        if not slots or not self._bounded:
            return set(slots)
        gaps = _decisions(job_id, expression_id, slots[0], slots[-1])
        return {due for due in slots if not any(first <= due <= last for first, last in gaps)}

    def _one_off(self, job_id: int) -> list[ExpectedRun]:
        task = Task.objects.filter(job_id=job_id, kind=TaskKind.TEMP.value).first()
        if task is not None:
            return [ExpectedRun(task.due_at, TaskStatus(task.status), task.reason)]
        rows = ScheduleExpression.objects.filter(job_id=job_id, next_due_at__isnull=False)
        first = rows.order_by("next_due_at").values_list("next_due_at", flat=True).first()
        return [ExpectedRun(first)] if first else []


def half_open(span: Window) -> Window:
    """Return ``span`` as [start, end) in which a single instant has a length too."""
    return Window(span.start, span.start + _EPSILON) if span.is_instant else span


@prepared.select
def _decisions(
    job_id: int, expression_id: int | None, start: datetime, end: datetime
) -> QuerySet[Gap, tuple[datetime, datetime]]:
    """The gaps by decision of one expression (None: of named runs) that touch [start, end]."""
    rows = Gap.objects.filter(job_id=job_id, expression_id=expression_id, reason__in=_DECISIONS)
    rows = rows.filter(to_at__gte=start, from_at__lte=end).order_by("from_at")
    return rows.values_list("from_at", "to_at")


@prepared.select
def _jobs(job_ids: Sequence[int]) -> QuerySet[Job]:
    return Job.objects.filter(pk__in=job_ids)


@prepared.select
def _states_in(
    job_id: int, start: datetime, end: datetime
) -> QuerySet[Task, tuple[datetime, int, str]]:
    rows = Task.objects.filter(job_id=job_id, kind=TaskKind.SCHEDULE.value)
    rows = rows.filter(due_at__gte=start, due_at__lt=end)
    return rows.values_list("due_at", "status", "reason")


@prepared.select
def _last_state_in(
    job_id: int, start: datetime, end: datetime
) -> QuerySet[Task, tuple[datetime, int, str]]:
    rows = Task.objects.filter(job_id=job_id, kind=TaskKind.SCHEDULE.value)
    rows = rows.filter(due_at__gte=start, due_at__lt=end).order_by("-due_at")[:1]
    return rows.values_list("due_at", "status", "reason")


def _tasks(job_id: int, span: Window) -> list[ExpectedRun]:
    span = half_open(span)
    rows = _states_in(job_id, span.start, span.end)
    return [ExpectedRun(due, TaskStatus(status), reason) for due, status, reason in rows]


def _last_task(job_id: int, span: Window) -> ExpectedRun | None:
    span = half_open(span)
    for due, status, reason in _last_state_in(job_id, span.start, span.end):
        return ExpectedRun(due, TaskStatus(status), reason)
    return None


def _first_task_due(job_id: int) -> datetime | None:
    rows = Task.objects.filter(job_id=job_id, kind=TaskKind.SCHEDULE.value).order_by("due_at")
    return rows.values_list("due_at", flat=True).first()


def _units(job: Job, naming: list[Upstream], bounds: Window) -> Iterator[datetime]:
    """Yield the starts of the calendar units whose runs can name a due time in ``bounds``."""
    unit = naming[0].offset.unit
    assert unit is not None
    furthest = max(up.offset.last for up in naming)
    nearest = min(up.offset.first for up in naming)
    start = shift(unit, truncate(unit, bounds.start, job.zone), -furthest, job.zone)
    end = shift(unit, truncate(unit, bounds.end, job.zone), 1 - nearest, job.zone)
    while start < end:
        yield start
        start = shift(unit, start, 1, job.zone)
