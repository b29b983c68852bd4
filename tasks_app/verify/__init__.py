"""Verify: every slot that was ever owed is one task or lies in one gap, and nothing else is there.

The ledger is recomputed from the expressions (D-73). A slot counts as *expected* from its
expression's floor on (D-23), inside the active window, up to where the cursor stands; beyond the
cursor it counts only once beat had a minute to open it, in ACTIVE jobs of a running system.

*Missing*: expected, and neither task nor gap. *Duplicate*: two tasks for one slot, or two for a
one-off. *Unexplained*: a SCHEDULE task that nothing accounts for (see ``origins``).

For a job without a schedule the runs that its upstreams' done tasks name are expected; judged are
those that ended after the last edit of it or of what it waits for, since names follow schedules.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from jobs.expected import Expectations
from jobs.models import Job
from tasks_app import ledger
from tasks_app.models import Task
from tasks_app.rules.states import TaskKind
from tasks_app.verify import names, slots
from tasks_app.verify.origins import Origins
from tasks_app.verify.slots import Owed


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
    """Return what is wrong with the ledger from ``since`` on, or since the floor of each job."""
    findings = Findings()
    is_paused = ledger.is_system_paused()
    for job in Job.objects.order_by("pk"):
        _verify_job(job, findings, since, is_paused, now)
    return findings


def _verify_job(
    job: Job, findings: Findings, since: datetime | None, is_paused: bool, now: datetime
) -> None:
    kind = TaskKind.TEMP if job.is_one_off else TaskKind.SCHEDULE
    rows = job.tasks.filter(kind=kind.value)
    if since is not None:
        rows = rows.filter(due_at__gte=since)
    by_due: dict[datetime, list[Task]] = {}
    for task in rows.order_by("due_at", "pk"):
        by_due.setdefault(task.due_at, []).append(task)
    if job.is_one_off:
        _find_second_task(job, [task for tasks in by_due.values() for task in tasks], findings)
        return
    facts = Expectations().facts(job.pk)
    owed = slots.owed(facts, by_due, since=since, is_paused=is_paused, now=now)
    if facts.is_named:
        owed = names.owed(facts, by_due, since=since, now=now)
    _count(job, owed, findings)
    doubled = [(due, tasks) for due, tasks in by_due.items() if len(tasks) > 1]
    findings.duplicate += [(job, due, [task.pk for task in tasks]) for due, tasks in doubled]
    known = Origins(facts)
    others = (tasks[0] for due, tasks in by_due.items() if due not in owed.present)
    findings.unexplained += [(job, task) for task in others if not known.explains(task)]


def _find_second_task(job: Job, tasks: list[Task], findings: Findings) -> None:
    if len(tasks) > 1:
        findings.duplicate.append((job, tasks[0].due_at, [task.pk for task in tasks]))


def _count(job: Job, owed: Owed, findings: Findings) -> None:
    findings.expected += len(owed.present) + len(owed.in_gaps) + len(owed.missing)
    findings.present += len(owed.present)
    findings.gaps += len(owed.in_gaps)
    findings.missing += [(job, due) for due in _ascending(owed.missing)]


def _ascending(dues: Iterable[datetime]) -> list[datetime]:
    return sorted(dues)
