"""Fill: slots that were left out are opened after all, and leave their gaps (D-55)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import islice

from django.db import transaction

from jobs import audit
from jobs.expected import Expectations
from jobs.models import App, Job
from jobs.rules.enums import ExpressionKind, JobStatus
from jobs.rules.schedule import Delay, Schedule, parse
from jobs.services.edits import locked_job
from sentinel_project.errors import InvalidParameters, Refused
from tasks_app import transitions, wakeup
from tasks_app.models import Gap, Task
from tasks_app.planner.release import release_waiting
from tasks_app.rules.states import TaskKind, TaskStatus
from tasks_app.transitions import Opening

MAX_SLOTS = 10_000
_MOMENT = timedelta(microseconds=1)


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
    gaps = list(Gap.objects.filter(job=job, to_at__gte=start, from_at__lte=end).order_by("from_at"))
    filled = _filled(gaps, job, start, end)
    dues = sorted(set().union(*filled.values()))
    if not dues:
        raise Refused(f"job {job_id} has no gap in this range")
    if job.has_left(dues[0]):
        kept = f"{job.history_from:%Y-%m-%d %H:%M:%S} UTC"
        raise Refused(f"what job {job_id} owed before {kept} was removed by retention; rerun it")
    for gap in gaps:
        _take(gap, job, start, end, len(filled[gap.pk]))
    _open(job, dues, now)
    wakeup.signal()
    after = {"slots": len(dues), "from": dues[0].isoformat(), "to": dues[-1].isoformat()}
    audit.record("job.fill", job, app=app, user=user, after=after, now=now)
    rows = Task.objects.filter(job=job, kind=TaskKind.SCHEDULE.value, due_at__in=dues)
    return list(rows.order_by("due_at").values_list("pk", flat=True))


def _filled(gaps: list[Gap], job: Job, start: datetime, end: datetime) -> dict[int, set[datetime]]:
    """Return the slots in [start, end] by gap; too many are refused before they are enumerated."""
    found: dict[int, set[datetime]] = {}
    left = MAX_SLOTS
    for gap in gaps:
        found[gap.pk] = set(islice(_slots(gap, job, start, end), left + 1))
        left -= len(found[gap.pk])
        if left < 0:
            raise Refused(f"a fill has at most {MAX_SLOTS} slots; choose a shorter range")
    return found


def _slots(gap: Gap, job: Job, start: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the slots of a gap in [start, end], from the schedule that yielded them."""
    start, end = max(start, gap.from_at), min(end, gap.to_at)
    schedule = _schedule(gap, job)
    if schedule is None:
        yield from sorted(at for at in {gap.from_at, gap.to_at} if start <= at <= end)
    elif start <= end:
        yield from schedule.between(start, end + _MOMENT)


def _schedule(gap: Gap, job: Job) -> Schedule | None:
    if gap.schedule_kind is None or gap.anchor_at is None:
        return None
    kind = ExpressionKind(gap.schedule_kind)
    schedule = parse(kind, gap.schedule_text, zone=job.zone, saved_at=gap.anchor_at)
    assert not isinstance(schedule, Delay)
    return schedule


def _take(gap: Gap, job: Job, start: datetime, end: datetime, filled: int) -> None:
    """Leave what lies before and behind [start, end]: the gap shrinks, splits or goes.

    A gap may hold millions of slots: only of one that splits is a side counted. One that was not
    counted to its end holds more than it says (D-57).
    """
    sides = ((gap.from_at, start - _MOMENT), (end + _MOMENT, gap.to_at))
    parts = [part for side in sides if (part := _ends(gap, job, *side)) is not None]
    if not parts:
        gap.delete()
        return
    (first, last), *behind = parts
    left = max(len(parts), gap.count - filled)
    count = sum(1 for _ in _slots(gap, job, first, last)) if behind else left
    Gap.objects.filter(pk=gap.pk).update(from_at=first, to_at=last, count=count)
    for first, last in behind:
        gap.pk = None
        gap.from_at, gap.to_at, gap.count = first, last, max(1, left - count)
        gap.save(force_insert=True)


def _ends(gap: Gap, job: Job, start: datetime, end: datetime) -> tuple[datetime, datetime] | None:
    """Return the first and the last slot of a gap in [start, end]; None: it has none there."""
    schedule = _schedule(gap, job)
    first = next(_slots(gap, job, start, end), None)
    if first is None:
        return None
    if schedule is None:
        return first, max(_slots(gap, job, start, end))
    return first, schedule.before(min(end, gap.to_at) + _MOMENT) or first


def _open(job: Job, dues: list[datetime], now: datetime) -> None:
    expectations = Expectations()
    waits = job.is_serial or bool(expectations.counting(expectations.facts(job.pk)))
    status = TaskStatus.WAITING if waits else TaskStatus.READY
    openings = [Opening(job=job, due_at=due, status=status) for due in dues]
    transitions.open_tasks(openings, now=now)
    if waits:
        release_waiting([job.pk], expectations, now=now)
    transitions.leave_event(job, now=now)
