"""The schedule of an edit: it holds for slots after now and never repeats a cycle (D-57)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from jobs.expected import Expectations
from jobs.facts import Facts, Series
from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import Edit, ExpressionKind, GapReason, JobStatus
from jobs.rules.schedule import Delay, Schedule, needs_anchor
from jobs.rules.spec import ScheduleEdit
from jobs.services import checks
from jobs.services.edits import JobChange
from jobs.slots import NO_FAULT, first_slot, new_expression, next_slot, schedule_of
from sentinel_project.errors import InvalidParameters
from tasks_app import ledger, transitions
from tasks_app.models import Gap, SkipMark, Task
from tasks_app.rules.states import Reason, TaskKind, TaskStatus

#: Slots that an edit leaves out are counted up to here; a year of seconds would take minutes.
_MOST_COUNTED = 10_000


def problems_of(
    job: Job, edits: Sequence[ScheduleEdit], zone: ZoneInfo, now: datetime
) -> Iterator[str]:
    """Yield what is wrong with a change set by itself; ``zone``: the one the job is to have."""
    present = set(job.expressions.values_list("pk", flat=True))
    named = [edit.expression_id for edit in edits if edit.mode is not Edit.ADD]
    field = "scheduleExpressionList.expressionId"
    for expression_id in dict.fromkeys(named):
        if expression_id not in present:
            yield f"{field}: the job has no expression {expression_id}"
        elif named.count(expression_id) > 1:
            yield f"{field}: {expression_id} is named twice"
    kept = [edit for edit in edits if edit.mode is not Edit.DELETE]
    yield from checks.schedule_problems(kept, zone=zone, now=now)


def apply(job: Job, edits: Sequence[ScheduleEdit], now: datetime) -> None:
    """Write a change set that was judged; marks of slots to be skipped are dropped (D-55)."""
    if not edits:
        return
    present = {row.pk: row for row in job.expressions.all()}
    for edit in edits:
        _apply(job, edit, present, now)
    if ledger.has_unfinished_delay(job.pk):
        job.expressions.filter(kind=ExpressionKind.DELAY).update(next_due_at=None)
    SkipMark.objects.filter(job=job, due_at__gt=now).delete()


def shown(job: Job) -> dict[str, Any]:
    """Return the expressions as the audit log has them."""
    rows = ScheduleExpression.objects.filter(job=job).order_by("pk")
    return {"schedule": list(rows.values("id", "kind", "text"))}


def _apply(
    job: Job, edit: ScheduleEdit, present: dict[int, ScheduleExpression], now: datetime
) -> None:
    if edit.mode is Edit.ADD:
        row = new_expression(job, edit, now=now)
        row.floor_at = _strictly_after(now)
        row.next_due_at = first_slot(job, row, now=now, strictly=True)
        row.save(force_insert=True)
        return
    assert edit.expression_id is not None
    row = present[edit.expression_id]
    if edit.mode is Edit.DELETE:
        _leave_out(job, row, now)
        row.delete()
    elif (row.kind, row.text) != (edit.kind, edit.text) or _has_lost_cursor(row):
        _leave_out(job, row, now)
        row.kind, row.text = edit.kind, edit.text
        row.anchor_at, row.floor_at = now, _strictly_after(now)
        row.next_due_at = first_slot(job, row, now=now, strictly=True)
        row.save()
        _set_going(row)
    else:
        _set_going(row)


def leave_out_all(job: Job, now: datetime) -> None:
    """Leave gaps where slots had come and were not opened, before an edit has all begin anew."""
    for row in job.expressions.all():
        _leave_out(job, row, now)


def _leave_out(job: Job, row: ScheduleExpression, now: datetime) -> None:
    """Leave a gap where slots had come and were not opened: the new schedule does not (D-57, I1).

    One of this very instant gives way and leaves none. Of a text that cannot be read only the slot
    of the cursor is known. Delays have no slots, and a DISABLED job owes none (D-56).
    """
    cursor = row.next_due_at
    if cursor is None or cursor >= now or job.status == JobStatus.DISABLED:
        return
    try:
        schedule = schedule_of(job, row)
    except InvalidParameters:
        words = {"from_at": cursor, "to_at": cursor, "count": 1, "created_at": now}
        Gap.objects.create(job=job, expression=row, reason=GapReason.EDITED.value, **words)
        return
    if not isinstance(schedule, Delay) and (dues := _unopened(job, schedule, cursor, now)):
        kind = ExpressionKind(row.kind)
        series = Series(row.pk, kind, row.text, row.anchor_at, row.floor_at, schedule)
        ledger.gap_of(job, series, dues, GapReason.EDITED, now).save(force_insert=True)


def _unopened(job: Job, schedule: Schedule, cursor: datetime, now: datetime) -> list[datetime]:
    """Return the slots of [cursor, now) without a task; of very many the first, and the last."""
    end = min(now, job.active_until or now)
    dues = list(islice(schedule.between(cursor, end), _MOST_COUNTED))
    last = schedule.before(end)
    if dues and last is not None and last > dues[-1]:
        dues.append(last)
    tasks = Task.objects.filter(job=job, kind=TaskKind.SCHEDULE.value, due_at__gte=cursor)
    opened = set(tasks.values_list("due_at", flat=True))
    return [due for due in dues if due not in opened]


def _has_lost_cursor(row: ScheduleExpression) -> bool:
    """Tell whether an earlier release set the expression aside: it kept no cursor."""
    return bool(row.fault) and row.next_due_at is None


def _set_going(row: ScheduleExpression) -> None:
    """Have an expression that was set aside tried at the next tick, from its cursor on (X-9)."""
    ScheduleExpression.objects.filter(pk=row.pk).update(**NO_FAULT)


def _strictly_after(now: datetime) -> datetime:
    """Return the floor of an edited expression: a slot of this very instant does not belong."""
    return now + timedelta(microseconds=1)


def bridge_cycle(job: Job, old: Facts | None, user: str, now: datetime) -> JobChange:
    """Skip the next slot if its cycle ran already, or let a waiting run give way to it.

    ``old`` None: what the schedule was cannot be read, so nothing is known of its cycles.
    """
    series = Expectations().facts(job.pk).series
    prev, upcoming = _around(job, series, now)
    if upcoming is None or old is None:
        return JobChange(job)
    between = {
        slot
        for one in old.series
        for slot in islice(one.schedule.between(prev, upcoming), 3)
        if prev < slot
    }
    if len(between) != 1:
        return JobChange(job)
    (slot,) = between
    kind = TaskKind.SCHEDULE.value
    task = Task.objects.filter(job=job, kind=kind, due_at=slot).select_related("job").first()
    if task is None or upcoming - slot >= slot - prev or task.status == TaskStatus.REMOVED:
        return JobChange(job)
    if task.status == TaskStatus.WAITING:
        text = "the schedule was edited; the next run takes its place"
        transitions.remove(task, user=user, now=now, reason=Reason.RESCHEDULED, text=text)
        return JobChange(job, gave_way=task)
    _skip(job, series, upcoming, now)
    return JobChange(job, skipped=upcoming)


def _around(job: Job, series: Sequence[Series], now: datetime) -> tuple[datetime, datetime | None]:
    """Return the slots around now of all expressions together; without an earlier one the floor."""
    before: list[datetime] = []
    after: list[datetime] = []
    for one in series:
        if one.anchor_at == now and needs_anchor(one.kind, one.text):
            before.append(now)
        elif (slot := one.schedule.before(now)) is not None:
            before.append(slot)
        if (slot := one.schedule.after(now)) is not None:
            after.append(slot)
    floor = max([job.floor_at, *(one.floor_at for one in series)])
    return max(before, default=floor), min(after, default=None)


def _skip(job: Job, series: Sequence[Series], slot: datetime, now: datetime) -> None:
    for one in series:
        cursor = ScheduleExpression.objects.filter(pk=one.id, next_due_at=slot)
        if cursor.update(next_due_at=next_slot(job, one.schedule, slot)):
            ledger.gap_of(job, one, [slot], GapReason.EDITED, now).save(force_insert=True)
