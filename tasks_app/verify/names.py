"""The runs that upstreams have named for a job without a schedule (D-36)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from django.db.models import Max, Min

from jobs.expected import Expectations, ExpectedRun
from jobs.facts import Facts, naming_of
from jobs.models import AuditEntry, DependencyEntry
from jobs.rules.enums import JobStatus
from jobs.rules.offsets import Offset, shift, truncate
from tasks_app.models import Event, Task
from tasks_app.rules.states import DONE, TaskKind, TaskStatus
from tasks_app.verify.slots import Owed, Spans, any_in, gaps_of

_EDITS = ["job.submit", "job.edit", "job.schedule", "job.dependencies", "job.status"]
_NAMING_KINDS = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]
_DONE = [status.value for status in DONE]


def owed(facts: Facts, dues: Iterable[datetime], *, since: datetime | None, now: datetime) -> Owed:
    """Sort the runs that were named; nothing is owed by a job that is not ACTIVE.

    What a name is hangs on what is expected at that moment: a unit of the calendar that holds
    any run of the job has its named one.
    """
    found = Owed()
    if facts.job.status != JobStatus.ACTIVE or facts.job.paused_at is not None:
        return found
    ascending = sorted(dues)
    there = set(ascending)
    gaps = gaps_of(facts.job)
    covered = Spans(span for spans in gaps.values() for span in spans)
    offset = naming_of(facts.upstreams)[0].offset
    for due in _named(facts, offset, now):
        if since is not None and due < since:
            continue
        if due in there or any_in(ascending, *_unit(offset, due, facts)):
            found.present.add(due)
        elif due in covered:
            found.in_gaps.add(due)
        else:
            found.missing.add(due)
    return found


def _unit(offset: Offset, due: datetime, facts: Facts) -> tuple[datetime, datetime]:
    if offset.unit is None:
        return due, due
    start = truncate(offset.unit, due, facts.job.zone)
    return start, shift(offset.unit, start, 1, facts.job.zone)


def _named(facts: Facts, offset: Offset, now: datetime) -> set[datetime]:
    """Return the due times that done upstream runs have named since the last edit."""
    expectations = Expectations()
    instants = set(_done_dues(facts, expectations, now))
    if offset.unit is not None:
        # Runs of one calendar unit name the same: ask once, by the latest of them.
        latest = {truncate(offset.unit, at, facts.job.zone): at for at in sorted(instants)}
        instants = set(latest.values())
    named = (expectations.named(facts.job.pk, at) for at in instants)
    return {due for due in named if due is not None}


def _done_dues(facts: Facts, expectations: Expectations, now: datetime) -> Iterator[datetime]:
    upstreams = [up.job_id for up in naming_of(expectations.counting(facts))]
    concerned = _behind(facts.job.pk)
    edits = AuditEntry.objects.filter(object_type="job", object_id__in=concerned)
    last_edit = edits.filter(action__in=_EDITS).aggregate(at=Max("at"))["at"]
    pending = Event.objects.filter(job_id__in=concerned, processed_at__isnull=True)
    horizon = pending.aggregate(at=Min("created_at"))["at"] or now
    rows = Task.objects.filter(job_id__in=upstreams, kind__in=_NAMING_KINDS, status__in=_DONE)
    rows = rows.filter(ended_at__gt=max(facts.job.floor_at, last_edit or facts.job.floor_at))
    for task in rows.filter(ended_at__lt=horizon):
        if ExpectedRun(task.due_at, TaskStatus(task.status), task.reason).names:
            yield task.due_at


def _behind(job_id: int) -> set[int]:
    """Return the job and everything it waits for, however indirectly."""
    found = {job_id}
    border = found
    while border:
        rows = DependencyEntry.objects.filter(job_id__in=border)
        border = set(rows.values_list("upstream_id", flat=True)) - found
        found = found | border
    return found
