"""A job as it was: today's row, with later changes taken back by the audit log (D-85)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from datetime import datetime
from typing import Any

from jobs.facts import Upstream
from jobs.models import AuditEntry, DependencyEntry, Job
from jobs.rules.enums import CommonStrategy, JobStatus
from jobs.rules.offsets import parse_offset

_INSTANTS = {"active_from", "active_until"}
_TAKEN_BACK = {"status", "time_zone", "is_serial", *_INSTANTS}
_STATUS_ACTIONS = ["job.status", "job.restore"]
#: Later changes that are looked at.
_MAX_ENTRIES = 1_000


def job_at(job: Job, at: datetime) -> Job:
    """Return the job with status, zone, window and order as they were at an earlier instant."""
    then = copy(job)
    seen: set[str] = set()
    for before in _befores_since(job, at):
        for name in (before.keys() & _TAKEN_BACK) - seen:
            setattr(then, name, _value(name, before[name]))
            seen.add(name)
    return then


def dependencies_at(job: Job, at: datetime) -> list[Upstream]:
    """Return the dependencies that the job had then."""
    words = ("upstream_id", "common_strategy", "offset")
    befores = _befores_since(job, at)
    rows: Iterable[Any] = next(
        (before["dependencies"] for before in befores if "dependencies" in before),
        DependencyEntry.objects.filter(job=job).order_by("pk").values(*words),
    )
    return [
        Upstream(
            row["upstream_id"], CommonStrategy(row["common_strategy"]), parse_offset(row["offset"])
        )
        for row in rows
    ]


def has_other_schedule_since(job: Job, at: datetime) -> bool:
    """Tell whether the job's expressions or their zone were edited after ``at``."""
    words = {"schedule", "time_zone"}
    return any(not words.isdisjoint(before) for before in _befores_since(job, at))


def status_since(job: Job, at: datetime) -> datetime:
    """Return since when the job has had the status that it had then."""
    rows = AuditEntry.objects.filter(object_type="job", object_id=job.pk, at__lte=at)
    last = rows.filter(action__in=_STATUS_ACTIONS).order_by("-at", "-pk").first()
    return job.created_at if last is None else last.at


def _befores_since(job: Job, at: datetime) -> Iterator[dict[str, Any]]:
    """Yield what each later change found, the first change first."""
    rows = AuditEntry.objects.filter(object_type="job", object_id=job.pk, at__gt=at)
    found = rows.filter(before__isnull=False).order_by("at", "pk")[:_MAX_ENTRIES]
    yield from (dict(entry.before) for entry in found if entry.before is not None)


def _value(name: str, kept: Any) -> Any:
    if name == "status":
        return JobStatus[kept].value
    if name in _INSTANTS and kept is not None:
        return datetime.fromisoformat(kept)
    return kept
