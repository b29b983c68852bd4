"""Fill: slots that were left out are opened after all, and leave their gaps (D-55)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.db import transaction

from jobs import audit
from jobs.expected import Expectations
from jobs.models import App, Job
from jobs.rules.enums import ExpressionKind, JobStatus
from jobs.rules.schedule import Delay, parse
from jobs.services.edits import locked_job
from sentinel_project.errors import InvalidParameters, Refused
from tasks_app import transitions, wakeup
from tasks_app.models import Gap, Task
from tasks_app.planner.release import release_waiting
from tasks_app.rules.states import TaskKind, TaskStatus
from tasks_app.transitions import Opening

MAX_SLOTS = 10_000


@transaction.atomic
def fill_gaps(
    job_id: int, start: datetime, end: datetime, *, app: App, user: str, now: datetime
) -> list[int]:
    """Open the slots of a job's gaps in [start, end] as tasks that never expire; return ids."""
    if start > end:
        raise InvalidParameters("from: it lies after to")
    job = locked_job(job_id, app)
    if job.status == JobStatus.DISABLED:
        raise Refused(f"job {job_id} is DISABLED; enable it before its gaps are filled")
    if job.has_left(start):
        kept = f"{job.history_from:%Y-%m-%d %H:%M:%S} UTC"
        raise Refused(f"what job {job_id} owed before {kept} was removed by retention; rerun it")
    gaps = list(Gap.objects.filter(job=job, to_at__gte=start, from_at__lte=end).order_by("from_at"))
    dues = sorted({due for gap in gaps for due in slots_of(gap, job) if start <= due <= end})
    if not dues:
        raise Refused(f"job {job_id} has no gap in this range")
    if len(dues) > MAX_SLOTS:
        raise Refused(
            f"a fill has at most {MAX_SLOTS} slots, not {len(dues)}; choose a shorter range"
        )
    for gap in gaps:
        _take(gap, [due for due in slots_of(gap, job) if not start <= due <= end])
    _open(job, dues, now)
    wakeup.signal()
    after = {"slots": len(dues), "from": dues[0].isoformat(), "to": dues[-1].isoformat()}
    audit.record("job.fill", job, app=app, user=user, after=after, now=now)
    rows = Task.objects.filter(job=job, kind=TaskKind.SCHEDULE.value, due_at__in=dues)
    return list(rows.order_by("due_at").values_list("pk", flat=True))


def slots_of(gap: Gap, job: Job) -> Iterator[datetime]:
    """Yield the slots of a gap, from the schedule that yielded them."""
    if gap.schedule_kind is None or gap.anchor_at is None:
        yield from sorted({gap.from_at, gap.to_at})
        return
    kind = ExpressionKind(gap.schedule_kind)
    schedule = parse(kind, gap.schedule_text, zone=job.zone, saved_at=gap.anchor_at)
    assert not isinstance(schedule, Delay)
    yield from schedule.between(gap.from_at, gap.to_at + timedelta(microseconds=1))


def _take(gap: Gap, left: list[datetime]) -> None:
    """Leave the gap with the slots ``left``: it shrinks, splits or goes."""
    before = [due for due in left if due < gap.from_at]
    assert not before
    holes = _runs(gap, left)
    if not holes:
        gap.delete()
        return
    first, *others = holes
    Gap.objects.filter(pk=gap.pk).update(from_at=first[0], to_at=first[-1], count=len(first))
    for part in others:
        gap.pk = None
        gap.from_at, gap.to_at, gap.count = part[0], part[-1], len(part)
        gap.save(force_insert=True)


def _runs(gap: Gap, left: list[datetime]) -> list[list[datetime]]:
    """Split ``left`` where filled slots lie between its neighbours."""
    kept = set(left)
    runs: list[list[datetime]] = [[]]
    for due in slots_of(gap, gap.job):
        if due in kept:
            runs[-1].append(due)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _open(job: Job, dues: list[datetime], now: datetime) -> None:
    expectations = Expectations()
    waits = job.is_serial or bool(expectations.counting(expectations.facts(job.pk)))
    status = TaskStatus.WAITING if waits else TaskStatus.READY
    openings = [Opening(job=job, due_at=due, status=status) for due in dues]
    transitions.open_tasks(openings, now=now)
    if waits:
        release_waiting([job.pk], expectations, now=now)
    transitions.leave_event(job, now=now)
