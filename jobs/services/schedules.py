"""Edits of a schedule: they hold for slots after now and never repeat a cycle (D-57)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from django.db import transaction

from jobs import audit
from jobs.expected import Expectations
from jobs.facts import Facts, Series
from jobs.models import App, Job, ScheduleExpression
from jobs.rules.enums import Edit, ExpressionKind, GapReason
from jobs.rules.schedule import needs_anchor
from jobs.rules.spec import ScheduleEdit
from jobs.services import checks
from jobs.services.edits import lock_graph, locked_job, touch
from jobs.slots import first_slot, new_expression, next_slot
from tasks_app import ledger, transitions
from tasks_app.models import SkipMark, Task
from tasks_app.rules.states import Reason, TaskKind, TaskStatus


@dataclass(frozen=True, slots=True)
class ScheduleChange:
    """What an edit did: the slot that it skipped, or the task that gave way, if any."""

    job: Job
    skipped: datetime | None = None
    gave_way: Task | None = None


@transaction.atomic
def set_schedule(
    job_id: int, edits: Sequence[ScheduleEdit], *, app: App, user: str, now: datetime
) -> ScheduleChange:
    """Apply a change set to a job's expressions; a refusal changes nothing.

    Expressions that did not change keep cursor, floor and anchor.
    """
    lock_graph()
    job = locked_job(job_id, app)
    present = {row.pk: row for row in job.expressions.all()}
    kept = [edit for edit in edits if edit.mode is not Edit.DELETE]
    checks.refuse(
        [
            *_mode_problems(edits, present),
            *checks.schedule_problems(kept, zone=job.zone, now=now),
        ]
    )
    before = _shown(job)
    old = Expectations().facts(job.pk)
    for edit in edits:
        _apply(job, edit, present, now)
    if ledger.has_unfinished_delay(job.pk):
        job.expressions.filter(kind=ExpressionKind.DELAY).update(next_due_at=None)
    touch(job, now=now)
    checks.check_graph(job, now=now)
    SkipMark.objects.filter(job=job, due_at__gt=now).delete()
    change = _bridge_cycle(job, old, user, now)
    audit.record("job.schedule", job, app=app, user=user, before=before, after=_shown(job), now=now)
    return change


def _shown(job: Job) -> dict[str, Any]:
    rows = ScheduleExpression.objects.filter(job=job).order_by("pk")
    return {"schedule": list(rows.values("id", "kind", "text"))}


def _mode_problems(
    edits: Sequence[ScheduleEdit], present: dict[int, ScheduleExpression]
) -> list[str]:
    return [
        f"scheduleExpressionList.expressionId: the job has no expression {edit.expression_id}"
        for edit in edits
        if edit.mode is not Edit.ADD and edit.expression_id not in present
    ]


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
        row.delete()
    elif (row.kind, row.text) != (edit.kind, edit.text):
        row.kind, row.text, row.fault = edit.kind, edit.text, ""
        row.anchor_at, row.floor_at = now, _strictly_after(now)
        row.next_due_at = first_slot(job, row, now=now, strictly=True)
        row.save()


def _strictly_after(now: datetime) -> datetime:
    """Return the floor of an edited expression: a slot of this very instant does not belong."""
    return now + timedelta(microseconds=1)


def _bridge_cycle(job: Job, old: Facts, user: str, now: datetime) -> ScheduleChange:
    """Skip the next slot if its cycle ran already, or let a waiting run give way to it."""
    series = Expectations().facts(job.pk).series
    prev, upcoming = _around(job, series, now)
    if upcoming is None:
        return ScheduleChange(job)
    between = {
        slot
        for one in old.series
        for slot in islice(one.schedule.between(prev, upcoming), 3)
        if prev < slot
    }
    if len(between) != 1:
        return ScheduleChange(job)
    (slot,) = between
    kind = TaskKind.SCHEDULE.value
    task = Task.objects.filter(job=job, kind=kind, due_at=slot).select_related("job").first()
    if task is None or upcoming - slot >= slot - prev or task.status == TaskStatus.REMOVED:
        return ScheduleChange(job)
    if task.status == TaskStatus.WAITING:
        text = "the schedule was edited; the next run takes its place"
        transitions.remove(task, user=user, now=now, reason=Reason.RESCHEDULED, text=text)
        return ScheduleChange(job, gave_way=task)
    _skip(job, series, upcoming, now)
    return ScheduleChange(job, skipped=upcoming)


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
