"""Bundles: the events that share a job, so that it is looked at once for all of them (ADR 0146).

An end concerns the dependents of its job, and the job itself if that waits for its own ends.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db.models import BooleanField, ExpressionWrapper, Q, QuerySet

from jobs.models import DependencyEntry, ScheduleExpression
from sentinel_project import prepared
from tasks_app import ledger
from tasks_app.models import Event

#: Events that are listed together.
BATCH = 100


@dataclass(slots=True)
class Bundle:
    """Events, in their order, and the jobs that each of them concerns.

    ``end``: the id behind which there were no events when these were listed; None: the bundle
    takes in no other.
    """

    concerned: dict[Event, set[int]]
    end: int | None = None

    @property
    def job_ids(self) -> list[int]:
        """In the order in which they are locked."""
        return sorted(set().union(*self.concerned.values()))

    def pending(self, job_ids: Collection[int], now: datetime) -> list[Event]:
        """Return the events for which to look at jobs, whose locks the caller holds.

        What others have carried is none of them any more. What has come since is one of them, and
        in the bundle from now on, if it concerns no other job.
        """
        own = [event.pk for event in self.concerned]
        found = _still(own, now) if self.end is None else _still_or_behind(own, self.end, now)
        fresh = [event for event in found if event not in self.concerned and _is_end(event)]
        for event, its_jobs in _concerned(fresh).items():
            if its_jobs.issubset(job_ids):
                self.concerned[event] = its_jobs
        return [e for e in found if not self.concerned.get(e, set()).isdisjoint(job_ids)]

    def apart(self) -> Iterator[Bundle]:
        """Yield each event in a bundle of its own."""
        for event, job_ids in self.concerned.items():
            yield Bundle({event: job_ids})


def bundled(events: Sequence[Event], *, end: int | None) -> list[Bundle]:
    """Put the ends together that share a job, directly or over others; a change stays alone."""
    concerned = _concerned(events)
    sharing = _Sharing()
    for event, job_ids in concerned.items():
        if _is_end(event):
            sharing.join(job_ids)
    found: dict[tuple[bool, int], Bundle] = {}
    for event, job_ids in concerned.items():
        is_end = _is_end(event)
        key = is_end, sharing.root(min(job_ids)) if is_end else event.pk
        found.setdefault(key, Bundle({}, end if is_end else None)).concerned[event] = job_ids
    return list(found.values())


class _Sharing:
    """Which jobs are bound to each other by events; each such set has one of them for its root."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}

    def root(self, job_id: int) -> int:
        above = self._above
        while (at := above.setdefault(job_id, job_id)) != job_id:
            above[job_id] = above[at]
            job_id = at
        return job_id

    def join(self, job_ids: Iterable[int]) -> None:
        first, *others = job_ids
        for other in others:
            self._above[self.root(other)] = self.root(first)


def _is_end(event: Event) -> bool:
    return event.task_id is not None


# -- the jobs of events ----------------------------------------------------------------------------


def _concerned(events: Iterable[Event]) -> dict[Event, set[int]]:
    ends = sorted({event.job_id for event in events if _is_end(event)})
    dependents: dict[int, set[int]] = {}
    for upstream_id, job_id in _edges(ends):
        dependents.setdefault(upstream_id, set()).add(job_id)
    return {event: _jobs_of(event, dependents.get(event.job_id, set())) for event in events}


def _jobs_of(event: Event, dependents: set[int]) -> set[int]:
    if not _is_end(event):
        return _behind_change(event.job_id)
    if vars(event)["awaits_itself"] or not dependents:
        return {event.job_id, *dependents}
    return dependents


def _behind_change(job_id: int) -> set[int]:
    """Return a job that changed, and whom that concerns.

    A job without a schedule has the runs that its upstreams give it (D-33), so whoever depends on
    such a dependent is concerned too.
    """
    found = {job_id, *_dependents(job_id)}
    border = found - {job_id}
    while border:
        passing_on = [job_id for job_id in border if not _has_schedule(job_id)]
        border = {job_id for passed in passing_on for job_id in _dependents(passed)} - found
        found |= border
    return found


@prepared.select
def _has_schedule(job_id: int) -> QuerySet[ScheduleExpression, int]:
    return ScheduleExpression.objects.filter(job_id=job_id).values_list("pk", flat=True)[:1]


@prepared.select
def _dependents(job_id: int) -> QuerySet[DependencyEntry, int]:
    return DependencyEntry.objects.filter(upstream_id=job_id).values_list("job_id", flat=True)


@prepared.select
def _edges(job_ids: Sequence[int]) -> QuerySet[DependencyEntry, tuple[int, int]]:
    rows = DependencyEntry.objects.filter(upstream_id__in=job_ids)
    return rows.values_list("upstream_id", "job_id")


# -- the list --------------------------------------------------------------------------------------


@prepared.select
def unprocessed(now: datetime) -> QuerySet[Event]:
    """The first events, each with ``is_awaited`` and ``awaits_itself``."""
    return _due(now)[:BATCH]


@prepared.select
def unprocessed_behind(event_id: int, now: datetime) -> QuerySet[Event]:
    return _due(now).filter(pk__gt=event_id)[:BATCH]


@prepared.select
def _still(event_ids: Sequence[int], now: datetime) -> QuerySet[Event]:
    return _due(now).filter(pk__in=event_ids)


@prepared.select
def _still_or_behind(event_ids: Sequence[int], behind: int, now: datetime) -> QuerySet[Event]:
    return _due(now).filter(Q(pk__in=event_ids) | Q(pk__gt=behind))[: 2 * BATCH]


def _due(now: datetime) -> QuerySet[Event]:
    rows = Event.objects.filter(processed_at__isnull=True)
    rows = rows.filter(Q(not_before__isnull=True) | Q(not_before__lte=now))
    is_awaited = Q(task__isnull=True) | Q(ledger.is_awaited())
    rows = rows.annotate(
        is_awaited=ExpressionWrapper(is_awaited, output_field=BooleanField()),
        awaits_itself=ledger.awaits_itself(),
    )
    return rows.order_by("id")
