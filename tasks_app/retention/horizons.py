"""Which jobs may let runs go, and up to which due time, read from the rows (X-33).

Asked of all jobs at once: what one may let go hangs on all that wait for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db.models import Count, Min, OuterRef, Q, QuerySet, Subquery

from jobs.models import DependencyEntry, Job, ScheduleExpression
from jobs.rules.enums import JobStatus
from jobs.rules.offsets import parse_offset
from tasks_app.models import Task
from tasks_app.rules import horizons as rules
from tasks_app.rules.horizons import Link, Stand
from tasks_app.rules.retention import days_of, parse
from tasks_app.rules.states import UNFINISHED, Reason, TaskKind, TaskStatus

_OWED = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]
_BROKEN = [TaskStatus.FAILED.value, TaskStatus.KILLED.value]
_OPENING = [JobStatus.ACTIVE.value, JobStatus.PAUSED.value]
_COLUMNS = (
    *("pk", "name", "app__name", "time_zone", "status", "paused_at", "is_one_off", "is_serial"),
    *("created_at", "history_from"),
)


@dataclass(slots=True)
class Leaving:
    """A job of which runs may leave: due before ``horizon``, and ended before ``cutoff``.

    Whoever cannot move the job's horizon there sets it back to ``begins_at``.
    """

    job_id: int
    app: str
    job: str
    zone: ZoneInfo
    begins_at: datetime
    horizon: datetime
    cutoff: datetime


def leavings(*, now: datetime) -> Iterator[Leaving]:
    """Yield the jobs whose history may move on, dependents before what they look at."""
    if parse(settings.SENTINEL_KEEP_TASKS):
        yield from _Reading(now).leavings()


class _Reading:
    """The rows that decide, read once."""

    def __init__(self, now: datetime) -> None:
        self._now = now
        scheduled = Task.objects.filter(job=OuterRef("pk"), kind=TaskKind.SCHEDULE.value)
        newest = Subquery(scheduled.order_by("-due_at").values("due_at")[:1])
        rows = Job.objects.annotate(newest=newest).values(*_COLUMNS, "newest")
        self._jobs: dict[int, Mapping[str, Any]] = {row["pk"]: row for row in rows}
        self._links = list(_read_links(self._jobs))
        self._upstream_ids = {link.upstream_id for link in self._links}
        self._by_dependent = {
            job_id: list(links) for job_id, links in groupby(self._links, lambda link: link.job_id)
        }

    def leavings(self) -> Iterator[Leaving]:
        cutoffs = self._cutoffs()
        old = _old_runs(cutoffs)
        order = rules.upstreams_first(self._jobs, self._links)
        stands = rules.with_upstreams(self._stands(cutoffs), self._by_dependent, order)
        looked_at: dict[int, list[datetime]] = {}
        for job_id in reversed(order):
            stand = stands[job_id]
            leaving = self._leaving(job_id, stand, looked_at.pop(job_id, []), old.get(job_id))
            if leaving is not None:
                yield leaving
            kept = stand.begins_at if leaving is None else leaving.horizon
            for link in self._by_dependent.get(job_id, ()):
                found = link.looks_from(min(kept, stand.needed_from))
                looked_at.setdefault(link.upstream_id, []).append(found)

    def _leaving(
        self, job_id: int, stand: Stand, looked_at: Iterable[datetime], old: _Old | None
    ) -> Leaving | None:
        """Return how a job's history may move on; None: it stays as it is."""
        if stand.cutoff is None or (old is None and job_id not in self._by_dependent):
            return None
        oldest = old.oldest if old else None
        horizon = rules.horizon(stand, looked_at, oldest)
        row = self._jobs[job_id]
        if row["is_serial"] and horizon > stand.begins_at:
            needed = min(stand.needed_from, _predecessor(job_id, stand.needed_from))
            horizon = max(stand.begins_at, min(horizon, needed))
        leaves = old is not None and old.leaves(horizon)
        if horizon == stand.begins_at and not leaves:
            return None
        return Leaving(
            job_id=job_id,
            app=row["app__name"],
            job=row["name"],
            zone=ZoneInfo(row["time_zone"]),
            begins_at=stand.begins_at,
            horizon=horizon,
            cutoff=stand.cutoff,
        )

    def _cutoffs(self) -> dict[int, datetime]:
        """Return, of the jobs that a rule is for, the instant before which ends are old."""
        table = parse(settings.SENTINEL_KEEP_TASKS)
        found = (
            (pk, days_of(table, row["app__name"], row["name"])) for pk, row in self._jobs.items()
        )
        return {pk: self._now - timedelta(days=days) for pk, days in found if days is not None}

    def _stands(self, cutoffs: Mapping[int, datetime]) -> dict[int, Stand]:
        unfinished, late = _unfinished(), _late(cutoffs)
        cursors = _cursors()
        return {
            pk: Stand(
                begins_at=self._begins_at(row),
                cutoff=cutoffs.get(pk),
                needed_from=self._needed_from(row, unfinished.get(pk), cursors.get(pk)),
                unsettled_from=_first(unfinished.get(pk), late.get(pk)),
            )
            for pk, row in self._jobs.items()
        }

    def _begins_at(self, row: Mapping[str, Any]) -> datetime:
        begins_at: datetime = row["history_from"] or row["created_at"]
        return begins_at

    def _needed_from(
        self, row: Mapping[str, Any], unfinished: datetime | None, cursor: datetime | None
    ) -> datetime:
        """Return the first due time that may yet run or must stay; the newest run always does."""
        if row["is_one_off"]:
            is_needed = unfinished or cursor or row["pk"] in self._upstream_ids
            return self._begins_at(row) if is_needed else self._now
        if row["paused_at"] is not None and row["pk"] in self._by_dependent:
            return self._begins_at(row)  # all that was done meanwhile names at the resume (D-36)
        found = _first(unfinished, cursor, row["newest"], self._now)
        assert found is not None
        return found


def _first(*instants: datetime | None) -> datetime | None:
    return min((at for at in instants if at is not None), default=None)


def _read_links(jobs: Mapping[int, Mapping[str, Any]]) -> Iterator[Link]:
    rows = DependencyEntry.objects.order_by("job_id").values_list("job_id", "upstream_id", "offset")
    for job_id, upstream_id, offset in rows:
        if job_id in jobs and upstream_id in jobs:
            zone = ZoneInfo(jobs[job_id]["time_zone"])
            yield Link(job_id, upstream_id, parse_offset(offset), zone)


def _unfinished() -> dict[int, datetime]:
    """Return the first due time of each job whose run has not ended."""
    found: dict[int, datetime] = {}
    for status in UNFINISHED:  # one by one, for each has an index
        for job_id, due in _first_dues(Task.objects.filter(status=status.value, kind__in=_OWED)):
            found[job_id] = min(due, found.get(job_id, due))
    return found


def _late(cutoffs: Mapping[int, datetime]) -> dict[int, datetime]:
    """Return the first due time of each job that is old and broke lately: it may be repaired."""
    found: dict[int, datetime] = {}
    for cutoff in set(cutoffs.values()):
        rows = Task.objects.filter(status__in=_BROKEN, kind__in=_OWED)
        dues = _first_dues(rows.filter(ended_at__gte=cutoff, due_at__lt=cutoff))
        found |= {job_id: due for job_id, due in dues if cutoffs.get(job_id) == cutoff}
    return found


def _first_dues(tasks: QuerySet[Task]) -> QuerySet[Task, tuple[int, datetime]]:
    return tasks.order_by().values_list("job_id").annotate(first=Min("due_at"))


def _cursors() -> dict[int, datetime]:
    """Return where each job stands that still opens slots, now or when it is resumed."""
    rows = ScheduleExpression.objects.filter(next_due_at__isnull=False, job__status__in=_OPENING)
    return dict(rows.order_by().values_list("job_id").annotate(first=Min("next_due_at")))


def _predecessor(job_id: int, due_at: datetime) -> datetime:
    """Return the due time of the run that a serial job's next one looks at (D-40)."""
    rows = Task.objects.filter(job_id=job_id, kind=TaskKind.SCHEDULE.value, due_at__lt=due_at)
    rows = rows.exclude(reason=Reason.EXPIRED.value).order_by("-due_at")
    return rows.values_list("due_at", flat=True).first() or due_at


@dataclass(frozen=True, slots=True)
class _Old:
    """Of a job's runs that ended long ago: the first one's due time, and are there unowed ones."""

    oldest: datetime | None
    has_others: bool

    def leaves(self, horizon: datetime) -> bool:
        return self.has_others or (self.oldest is not None and self.oldest < horizon)


def _old_runs(cutoffs: Mapping[int, datetime]) -> dict[int, _Old]:
    found: dict[int, _Old] = {}
    is_owed = Q(kind__in=_OWED)
    for cutoff in set(cutoffs.values()):
        rows = Task.objects.filter(ended_at__lt=cutoff).order_by().values_list("job_id")
        counted = rows.annotate(
            oldest=Min("due_at", filter=is_owed), others=Count("pk", filter=~is_owed)
        )
        for job_id, oldest, others in counted:
            if cutoffs.get(job_id) == cutoff:
                found[job_id] = _Old(oldest, others > 0)
    return found
