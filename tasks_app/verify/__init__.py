"""Verify: every slot that was ever owed is one task or lies in one gap, and nothing else is there.

The ledger is recomputed from the expressions (D-73). A slot counts as *expected* from its
expression's floor on (D-23), inside the active window, up to where the cursor stands; beyond the
cursor it counts only once beat had a minute to open it, in ACTIVE jobs of a running system.

*Missing*: expected, and neither task nor gap. *Duplicate*: two tasks for one slot, or two for a
one-off. *Unexplained*: a SCHEDULE task that nothing accounts for (see ``origins``).

What was due before a job's kept history has left, or is about to (X-33): nothing is owed there.

For a job without a schedule the runs that its upstreams' done tasks name are expected; judged are
those that ended after the last edit of it or of what it waits for, since names follow schedules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from jobs.expected import Expectations
from jobs.models import Job
from tasks_app import ledger
from tasks_app.models import Task
from tasks_app.rules.states import TaskKind
from tasks_app.verify import names, slots
from tasks_app.verify.origins import Origins

_AT_ONCE = 500


@dataclass(slots=True)
class Findings:
    """What a verification counted and found; each finding is a job and a due time."""

    expected: int = 0
    present: int = 0
    gaps: int = 0
    missing: list[tuple[Job, datetime]] = field(default_factory=list)
    duplicate: list[tuple[Job, datetime, list[int]]] = field(default_factory=list)
    unexplained: list[tuple[Job, Task]] = field(default_factory=list)

    @property
    def is_well(self) -> bool:
        return not (self.missing or self.duplicate or self.unexplained)


def verify(*, now: datetime, since: datetime | None = None) -> Findings:
    """Return what is wrong with the ledger from ``since`` on, or since the floor of each job.

    The system may go on meanwhile: of each job what is owed is read first and the tasks last, so
    that what is opened in between is there and not missing.
    """
    findings = Findings()
    is_paused = ledger.is_system_paused()
    for job in Job.objects.defer("content", "extra").order_by("pk").iterator(chunk_size=500):
        if job.is_one_off:
            _verify_one_off(job, findings)
        else:
            _verify_job(job, findings, since, is_paused, now)
    return findings


def _verify_one_off(job: Job, findings: Findings) -> None:
    rows = job.tasks.filter(kind=TaskKind.TEMP.value).order_by("pk")
    tasks = list(rows.values_list("due_at", "pk"))
    if len(tasks) > 1:
        findings.duplicate.append((job, tasks[0][0], [task_id for _, task_id in tasks]))


def _verify_job(
    job: Job, findings: Findings, since: datetime | None, is_paused: bool, now: datetime
) -> None:
    facts = Expectations().facts(job.pk)
    if facts.is_named:
        owed = names.owed(facts, since=since, now=now)
    else:
        owed = slots.owed(facts, since=since, is_paused=is_paused, now=now)
    tasks = _tasks(job, since)
    present = owed.among(tasks)
    # Asked last: what retention takes away meanwhile is not missing.
    left_before = Job.objects.values_list("history_from", flat=True).get(pk=job.pk)
    missing = {
        due
        for due in owed.dues - owed.in_gaps - present
        if left_before is None or due >= left_before
    }
    findings.expected += len(owed.dues)
    findings.present += len(present)
    findings.gaps += len(owed.in_gaps - present)
    findings.missing += [(job, due) for due in sorted(missing)]
    findings.duplicate += [(job, due, ids) for due, ids in tasks.items() if len(ids) > 1]
    others = [
        ids[0]
        for due, ids in tasks.items()
        if due not in present and (left_before is None or due >= left_before)
    ]
    known = Origins(facts)
    findings.unexplained += [(job, task) for task in _read(others) if not known.explains(task)]


def _tasks(job: Job, since: datetime | None) -> dict[datetime, list[int]]:
    """Return the ids of a job's scheduled tasks by due time, ascending."""
    rows = job.tasks.filter(kind=TaskKind.SCHEDULE.value)
    if since is not None:
        rows = rows.filter(due_at__gte=since)
    found: dict[datetime, list[int]] = {}
    for due, task_id in rows.order_by("due_at", "pk").values_list("due_at", "pk").iterator():
        found.setdefault(due, []).append(task_id)
    return found


def _read(task_ids: list[int]) -> Iterator[Task]:
    for start in range(0, len(task_ids), _AT_ONCE):
        part = task_ids[start : start + _AT_ONCE]
        yield from Task.objects.filter(pk__in=part).order_by("due_at", "pk")
