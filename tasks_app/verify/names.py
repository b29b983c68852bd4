"""The runs that upstreams have named for a job without a schedule (D-36)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db.models import Max, Min

from jobs.expected import Expectations, ExpectedRun
from jobs.facts import Facts, naming_of
from jobs.models import AuditEntry, DependencyEntry
from jobs.rules.enums import JobStatus
from jobs.rules.offsets import Offset, shift, truncate
from tasks_app.models import Event, Task
from tasks_app.rules.states import DONE, TaskKind, TaskStatus
from tasks_app.verify.slots import Owed, Spans, gaps_of

_EDITS = ["job.submit", "job.edit", "job.schedule", "job.dependencies", "job.status"]
_NAMING_KINDS = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]
_DONE = [status.value for status in DONE]
_COLUMNS = ("due_at", "status", "reason", "ended_at")
_EPSILON = timedelta(microseconds=1)


def owed(facts: Facts, *, since: datetime | None, now: datetime) -> Owed:
    """Return the runs that were named; nothing is owed by a job that is not ACTIVE.

    What a name is hangs on what is expected at that moment: a unit of the calendar that holds
    any run of the job has its named one.
    """
    found = Owed()
    if facts.job.status != JobStatus.ACTIVE or facts.job.paused_at is not None:
        return found
    naming = naming_of(facts.upstreams)
    if not naming:
        return found
    offset = naming[0].offset
    dues = _named(facts, offset, now)
    found.dues = {due for due in dues if since is None or due >= since}
    covered = Spans(span for spans in gaps_of(facts.job).values() for span in spans)
    found.in_gaps = {due for due in found.dues if due in covered}
    if offset.unit is not None:
        found.unit_of = _unit(offset.unit, facts.job.zone)
    return found


def _unit(unit: str, zone: ZoneInfo) -> Callable[[datetime], tuple[datetime, datetime]]:
    def unit_of(due: datetime) -> tuple[datetime, datetime]:
        start = truncate(unit, due, zone)
        return start, shift(unit, start, 1, zone)

    return unit_of


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
    """Yield the due times of upstream runs whose end has been carried to the job.

    The tasks are read before the events: what ends in between is in neither.
    """
    upstreams = [up.job_id for up in naming_of(expectations.counting(facts))]
    concerned = _behind(facts.job.pk)
    edits = AuditEntry.objects.filter(object_type="job", object_id__in=concerned)
    last_edit = edits.filter(action__in=_EDITS).aggregate(at=Max("at"))["at"]
    steady = max(facts.job.floor_at, last_edit or facts.job.floor_at)
    rows = Task.objects.filter(job_id__in=upstreams, kind__in=_NAMING_KINDS, status__in=_DONE)
    done = list(rows.filter(ended_at__gt=steady).values_list(*_COLUMNS))
    pending = Event.objects.filter(job_id__in=concerned, processed_at__isnull=True)
    horizon = pending.aggregate(at=Min("created_at"))["at"] or now + _EPSILON
    for due, status, reason, ended in done:
        is_carried = ended is not None and ended < horizon
        if is_carried and ExpectedRun(due, TaskStatus(status), reason).names:
            yield due


def _behind(job_id: int) -> set[int]:
    """Return the job and everything it waits for, however indirectly."""
    found = {job_id}
    border = found
    while border:
        rows = DependencyEntry.objects.filter(job_id__in=border)
        border = set(rows.values_list("upstream_id", flat=True)) - found
        found = found | border
    return found
