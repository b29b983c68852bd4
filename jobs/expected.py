"""Expected runs: which runs of a job a window ranges over, whether their tasks exist or not.

The runs a dependency waits for are computed from schedules, not read off the task table (D-32):
an hourly upstream owes 24 runs a day even before the first one has been opened. The runs of a job
without a schedule are those that its upstreams name, recursively (D-33); what is named is asked
for whole spans and calendar units, so that all dependents of a job share the answers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from itertools import islice

from jobs import expected_rows as rows
from jobs.expected_rows import EPSILON, ExpectedRun, closed, half_open
from jobs.expected_slots import Slots
from jobs.facts import Facts, Upstream, likely_behind, naming_of
from jobs.models import Job
from jobs.rules.offsets import shift, truncate, window
from jobs.rules.windows import Window

__all__ = ["Expectations", "ExpectedRun", "closed", "half_open"]


class Expectations(Slots):
    """The expected runs of any job, for one transaction over a consistent state.

    Facts and names are memoised; the states of runs are read each time.
    """

    def __init__(self, *, bounded: bool = True, is_reading: bool = False) -> None:
        super().__init__(bounded=bounded, is_reading=is_reading)
        self._dues: dict[tuple[int, Window], Sequence[datetime]] = {}
        self._edge_dues: dict[tuple[int, Window, bool], datetime | None] = {}
        self._unit_names: dict[tuple[int, datetime], datetime | None] = {}
        self._warmed: dict[tuple[Window, bool], set[int]] = {}

    def runs(self, job_id: int, span: Window) -> list[ExpectedRun]:
        """Return the expected runs of a job in ``span``, ascending, with the state of each.

        A one-off is looked at wherever its only task lies (D-33).
        """
        facts = self.facts(job_id)
        if facts.job.is_one_off:
            return rows.one_off(job_id)
        tasks = [] if self._is_bare(job_id, span.start) else rows.tasks(job_id, span)
        found = {run.due_at: run for run in tasks}
        slots = self._scheduled(facts, span) if facts.has_schedule else self._names(facts, span)
        for due in slots:
            found.setdefault(due, ExpectedRun(due))
        return [found[due] for due in sorted(found)]

    def latest(self, job_id: int, span: Window) -> ExpectedRun | None:
        """Return the last of ``runs`` without computing the others, however long the window."""
        return self._edge(job_id, span, is_last=True)

    def earliest(self, job_id: int, span: Window) -> ExpectedRun | None:
        """Return the first of ``runs``, as ``latest`` the last."""
        return self._edge(job_id, span, is_last=False)

    def is_within(self, job_id: int, span: Window, most: int) -> bool:
        """Tell, without asking for tasks, whether the runs in ``span`` are surely few."""
        seen = {job_id}
        stack = [job_id]
        while stack:
            facts = self.facts(stack.pop())
            if facts.job.is_one_off:
                continue
            naming = [] if facts.has_schedule else naming_of(self.counting(facts))
            if facts.delays or not _is_sparse(facts, naming, half_open(span), most):
                return False
            if naming and naming[0].offset.unit is None:
                stack += [up.job_id for up in naming if up.job_id not in seen]
                seen.update(stack)
        return True

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
        return name if name is not None and self._is_owed(facts.job, name) else None

    def _is_owed(self, job: Job, name: datetime) -> bool:
        return not self._bounded or (job.is_active_at(name) and not job.has_left(name))

    def first_due(self, job_id: int) -> datetime:
        """Return the instant before which a job has neither task nor expected run."""
        floor = self.facts(job_id).floor_at
        return min(floor, rows.first_task_due(job_id) or floor)

    def _edge(self, job_id: int, span: Window, *, is_last: bool) -> ExpectedRun | None:
        facts = self.facts(job_id)
        if facts.job.is_one_off:
            return next(iter(rows.one_off(job_id)), None)
        is_bare = self._is_bare(job_id, span.start)
        task = None if is_bare else self._foreseen.edge_task(job_id, span, is_last=is_last)
        ask = self._edge_scheduled if facts.has_schedule else self._edge_name
        due = ask(facts, span, is_last)
        pick = max if is_last else min
        if due is None or (task is not None and pick(task.due_at, due) == task.due_at):
            return task
        return ExpectedRun(due)

    # -- names (D-33, D-36) --------------------------------------------------------------------

    def _names(self, facts: Facts, span: Window) -> Sequence[datetime]:
        """Return the due times in ``span`` that upstream runs name, ascending."""
        naming = naming_of(self.counting(facts))
        if not naming:
            return []
        span = half_open(span)
        bounds = self._bounds(facts.job, facts.job.floor_at, span)
        if bounds.is_instant:
            return []
        named: set[datetime | None] = set()
        if naming[0].offset.unit is None:
            self._warm(facts, span, is_whole=True)
            for upstream in naming:
                named.update(self._dues_of(upstream.job_id, span))
        else:
            for start in _units(facts.job, naming, bounds):
                named.add(self._name_of_unit(facts, naming, start))
        kept = sorted(due for due in named if due is not None and bounds.contains(due))
        return self._uncovered(facts.job.pk, None, kept)

    def _edge_name(self, facts: Facts, span: Window, is_last: bool) -> datetime | None:
        naming = naming_of(self.counting(facts))
        if not naming:
            return None
        span = half_open(span)
        if naming[0].offset.unit is None:
            return self._edge_of_same(facts, naming, span, is_last)
        bounds = self._bounds(facts.job, facts.job.floor_at, span)
        for start in _units(facts.job, naming, bounds, is_backward=is_last):
            name = self._name_of_unit(facts, naming, start)
            is_owed = name is not None and bounds.contains(name)
            if name is not None and is_owed and not self._gaps(facts.job.pk, None, [name]):
                return name
        return None

    def _edge_of_same(
        self, facts: Facts, naming: list[Upstream], span: Window, is_last: bool
    ) -> datetime | None:
        """Return the first or last name in ``span`` of a job that runs when its upstreams do."""
        bounds = self._bounds(facts.job, facts.job.floor_at, span)
        # Up to the floor nothing is asked for, so that all dependents ask for the same spans.
        cut = Window(span.start if is_last else bounds.start, bounds.end)
        while not (bounds.is_instant or cut.is_instant):
            self._warm(facts, cut, is_whole=False)
            due = self._edge_of(naming, [cut] * len(naming), is_last)
            if due is None or not bounds.contains(due):
                return None
            if not self._gaps(facts.job.pk, None, [due]):
                return due
            cut = Window(cut.start, due) if is_last else Window(due + EPSILON, cut.end)
        return None

    def _name_of_unit(
        self, facts: Facts, naming: list[Upstream], start: datetime
    ) -> datetime | None:
        """Return what the runs due in the calendar unit at ``start`` name; None: it has none."""
        key = (facts.job.pk, start)
        if key not in self._unit_names:
            unit = naming[0].offset.unit
            assert unit is not None
            whole = Window(start, shift(unit, start, 1, facts.job.zone))
            self._warm(facts, whole, is_whole=False)
            floor = max(start, facts.job.floor_at) if self._bounded else start
            last = self._edge_of(naming, [whole] * len(naming))
            is_named = last is not None and last >= floor
            self._unit_names[key] = self._latest_named(facts, naming, start) if is_named else None
        return self._unit_names[key]

    def _latest_named(
        self, facts: Facts, naming: list[Upstream], instant: datetime
    ) -> datetime | None:
        spans = [window(up.offset, instant, facts.job.zone) for up in naming]
        return self._edge_of(naming, spans)

    def _edge_of(
        self, naming: list[Upstream], spans: list[Window], is_last: bool = True
    ) -> datetime | None:
        found: datetime | None = None
        if is_last:
            asked = ((up.job_id, span) for up, span in zip(naming, spans, strict=True))
            self._foreseen.read_each(one for one in asked if (*one, True) not in self._edge_dues)
        for upstream, span in zip(naming, spans, strict=True):
            due = self._edge_due(upstream.job_id, span, is_last)
            if due is not None and (found is None or (due > found) == is_last):
                found = due
        return found

    def _edge_due(self, job_id: int, span: Window, is_last: bool = True) -> datetime | None:
        """Return the due time of the first or last run in ``span`` that can name."""
        key = (job_id, span, is_last)
        if key not in self._edge_dues:
            rest = span
            run = self._edge(job_id, rest, is_last=is_last)
            while run is not None and not run.names and rest.contains(run.due_at):
                after = run.due_at + EPSILON
                rest = Window(rest.start, run.due_at) if is_last else Window(after, rest.end)
                run = None if rest.is_instant else self._edge(job_id, rest, is_last=is_last)
            is_there = run is not None and run.names and span.contains(run.due_at)
            self._edge_dues[key] = run.due_at if run is not None and is_there else None
        return self._edge_dues[key]

    def _dues_of(self, job_id: int, span: Window) -> Sequence[datetime]:
        """Return the due times of runs in ``span`` that can name, a one-off's if it lies there."""
        key = (job_id, span)
        if key not in self._dues:
            runs = self.runs(job_id, span)
            self._dues[key] = [r.due_at for r in runs if r.names and span.contains(r.due_at)]
        return self._dues[key]

    def _warm(self, facts: Facts, span: Window, *, is_whole: bool) -> None:
        """Ask the jobs without a schedule behind one, the furthest first.

        Each then finds its upstreams' answers memoised, so a chain of any length is not recursed.
        ``is_whole``: for all names in ``span``, not merely for the last.
        """
        warmed = self._warmed.setdefault((span, is_whole), set())
        if facts.job.pk in warmed:
            return
        chain = self.behind(facts, known=warmed)
        warmed.update(chain)
        if not is_whole:
            self._foreseen.read(chain[:-1], span)
        ask = self._dues_of if is_whole else self._edge_due
        for job_id in chain[:-1]:
            ask(job_id, span)

    def behind(self, facts: Facts, known: Collection[int] = ()) -> list[int]:
        """Return the jobs without a schedule that a job's names hang on, upstreams first.

        The job itself is the last. Nothing behind ``known`` ones is looked at.
        """
        self.load(likely_behind(facts.job.pk))
        order: dict[int, None] = {}
        entered: set[int] = set()
        stack = [facts.job.pk]
        while stack:
            job_id = stack[-1]
            at = self.facts(job_id)
            naming = naming_of(self.counting(at)) if at.is_named else []
            named = [up.job_id for up in naming if up.job_id not in known]
            named = [upstream_id for upstream_id in named if self.facts(upstream_id).is_named]
            ahead = [] if job_id in entered else [up for up in named if up not in order]
            entered.add(job_id)
            stack.extend(ahead)
            if not ahead:
                order[stack.pop()] = None
        return list(order)


def _is_sparse(facts: Facts, naming: list[Upstream], span: Window, most: int) -> bool:
    """Tell whether a schedule, or the units of those that name, yield few runs in ``span``."""
    come = [series.schedule.between(span.start, span.end) for series in facts.series]
    if naming and naming[0].offset.unit is not None:
        come = [_units(facts.job, naming, span)]
    return all(len(list(islice(slots, most + 1))) <= most for slots in come)


def _units(
    job: Job, naming: list[Upstream], bounds: Window, *, is_backward: bool = False
) -> Iterator[datetime]:
    """Yield the starts of the calendar units whose runs can name a due time in ``bounds``.

    The windows hold the unit itself, so that a unit never names what lies before it.
    """
    unit = naming[0].offset.unit
    assert unit is not None
    if bounds.start >= bounds.end:
        return
    furthest = max(up.offset.last for up in naming)
    first = shift(unit, truncate(unit, bounds.start, job.zone), 1 - furthest, job.zone)
    final = truncate(unit, bounds.end - EPSILON, job.zone)
    at, step = (final, -1) if is_backward else (first, 1)
    while first <= at <= final:
        yield at
        following = shift(unit, at, step, job.zone)
        if following == at:
            return  # the end of the calendar
        at = following
