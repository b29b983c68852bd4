"""The slots that the schedules of jobs owe, cut to floors, active windows and gaps (D-22, D-23)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from jobs import expected_rows as rows
from jobs.expected_rows import EPSILON, half_open
from jobs.facts import Facts, Series, Upstream, facts_of
from jobs.models import Job
from jobs.rules.windows import Window


class Slots:
    """The facts of any job, memoised for one transaction, and the slots of those with a schedule.

    ``bounded=False`` forgets floors, active windows and gaps: the slots a rerun ranges over (D-51).
    ``is_reading``: whoever asks writes no run meanwhile, so that what lies ahead of a job's last
    row is not asked for again.
    """

    def __init__(self, *, bounded: bool = True, is_reading: bool = False) -> None:
        self._bounded = bounded
        self._is_reading = is_reading
        self._facts: dict[int, Facts] = {}
        self._last_rows: dict[int, datetime | None] = {}
        self._foreseen = rows.Foreseen()

    def facts(self, job_id: int) -> Facts:
        """Return a job with its parsed schedule and dependencies."""
        if job_id not in self._facts:
            self.load([job_id])
        return self._facts[job_id]

    def load(self, job_ids: Iterable[int]) -> None:
        """Read several jobs at once."""
        wanted = [job_id for job_id in job_ids if job_id not in self._facts]
        if wanted:
            self.take(rows.jobs(wanted))

    def take(self, jobs: Iterable[Job]) -> None:
        """Use job rows that were read, and locked, already."""
        self._facts |= facts_of(jobs)

    def counting(self, facts: Facts) -> list[Upstream]:
        """Return the dependencies of a job that count by their upstream's status (D-35)."""
        self.load(upstream.job_id for upstream in facts.upstreams)
        return [up for up in facts.upstreams if self.facts(up.job_id).counts]

    def _scheduled(self, facts: Facts, span: Window) -> set[datetime]:
        """Return the slots in ``span``."""
        slots: set[datetime] = set()
        for series in facts.series:
            bounds = self._bounds(facts.job, series.floor_at, span)
            come = series.schedule.between(bounds.start, bounds.end)
            slots.update(self._uncovered(facts.job.pk, series.id, list(come)))
        return slots

    def _edge_scheduled(self, facts: Facts, span: Window, is_last: bool) -> datetime | None:
        """Return the first or the last slot in ``span``, however long it is."""
        slots = [self._edge_of_series(facts, series, span, is_last) for series in facts.series]
        pick = max if is_last else min
        return pick((slot for slot in slots if slot is not None), default=None)

    def _edge_of_series(
        self, facts: Facts, series: Series, span: Window, is_last: bool
    ) -> datetime | None:
        bounds = self._bounds(facts.job, series.floor_at, span)
        if bounds.is_instant:
            return None
        step = series.schedule.before if is_last else series.schedule.after
        slot = step(bounds.end if is_last else bounds.start - EPSILON)
        while slot is not None and bounds.contains(slot):
            gaps = self._gaps(facts.job.pk, series.id, [slot])
            if not gaps:
                return slot
            slot = step(gaps[0][0] if is_last else max(last for _, last in gaps))
        return None

    def _bounds(self, job: Job, floor: datetime, span: Window) -> Window:
        """Cut ``span`` to where the job owes runs; with start = end it owes none there."""
        span = half_open(span)
        if not self._bounded:
            return span
        start = max(span.start, floor, job.active_from or floor, job.history_from or floor)
        end = min(span.end, job.active_until or span.end)
        return Window(start, max(start, end))

    def _uncovered(
        self, job_id: int, expression_id: int | None, dues: Sequence[datetime]
    ) -> Sequence[datetime]:
        """Leave out of ascending ``dues`` the slots that nobody expects by decision."""
        gaps = self._gaps(job_id, expression_id, dues)
        if not gaps:
            return dues
        return [due for due in dues if not any(first <= due <= last for first, last in gaps)]

    def _gaps(
        self, job_id: int, expression_id: int | None, dues: Sequence[datetime]
    ) -> list[tuple[datetime, datetime]]:
        """Return the gaps by decision that touch the span of ascending ``dues`` (D-23)."""
        if not dues or not self._bounded or self._is_bare(job_id, dues[0]):
            return []
        if self._foreseen.has_no_gap(job_id, dues):
            return []
        return rows.decisions(job_id, expression_id, dues[0], dues[-1])

    def _is_bare(self, job_id: int, start: datetime) -> bool:
        """Tell whether a job surely has neither task nor gap at ``start`` or later."""
        if not self._is_reading:
            return False
        if job_id not in self._last_rows:
            self._last_rows[job_id] = rows.last_row(job_id)
        last = self._last_rows[job_id]
        return last is None or last < start
