"""Where a SCHEDULE task can have come from, as far as the database still tells (D-73).

A task is explained by one of these:

- its due time is a slot of an expression that the job has now;
- the expression that opened it is a delay, or was edited later: its floor rose past the due time;
- it was named by an upstream's run that is still there, or that would name it still;
- it names nothing any more, because that is gone, and the audit log knows better: an expression
  that the job once had yields the due time (or hung on an anchor that is lost), or a fill opened
  the slots around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from jobs.expected import Expectations
from jobs.facts import Facts, naming_of
from jobs.models import AuditEntry
from jobs.rules.enums import ExpressionKind
from jobs.rules.schedule import Delay, Schedule, needs_anchor, parse
from jobs.rules.windows import Window
from tasks_app.models import Task

_EPSILON = timedelta(microseconds=1)


class Origins:
    """What is known of one job's past, read only if a task asks for it."""

    def __init__(self, facts: Facts) -> None:
        self._facts = facts

    def explains(self, task: Task) -> bool:
        if any(_yields(series.schedule, task.due_at) for series in self._facts.series):
            return True
        if task.opened_by_expression_id is not None:
            return self._opened_by_former(task, task.opened_by_expression_id)
        if task.named_by_id is not None:
            return True
        return self._would_be_named(task.due_at) or self._audit_knows(task.due_at)

    def _opened_by_former(self, task: Task, expression_id: int) -> bool:
        """Tell whether its expression is a delay, or said something else at that time."""
        if expression_id in {known for known, _ in self._facts.delays}:
            return True
        floors = {series.id: series.floor_at for series in self._facts.series}
        return expression_id in floors and task.due_at <= floors[expression_id]

    def _would_be_named(self, due_at: datetime) -> bool:
        """Tell whether upstreams name it by their slots, whether or not their tasks are there."""
        if not self._facts.is_named:
            return False
        slots = Expectations(bounded=False)
        naming = naming_of(self._facts.upstreams)
        if not naming:
            return False
        if naming[0].offset.unit is not None:
            return slots.named(self._facts.job.pk, due_at) == due_at
        instant = Window(due_at, due_at)
        return any(slots.runs(upstream.job_id, instant) for upstream in naming)

    def _audit_knows(self, due_at: datetime) -> bool:
        if any(start <= due_at <= end for start, end in self._fills):
            return True
        return any(former is None or _yields(former, due_at) for former in self._formers)

    @cached_property
    def _fills(self) -> list[tuple[datetime, datetime]]:
        filled = (entry.after or {} for entry in self._entries("job.fill"))
        return [
            (datetime.fromisoformat(after["from"]), datetime.fromisoformat(after["to"]))
            for after in filled
        ]

    @cached_property
    def _formers(self) -> list[Schedule | None]:
        """The expressions that the job once had, in each of its zones; None: it hung on time."""
        return list(self._read_formers())

    def _read_formers(self) -> Iterator[Schedule | None]:
        zones = {self._facts.job.time_zone, *self._former_zones()}
        for kind, text in self._former_texts():
            for zone in sorted(zones):
                if needs_anchor(kind, text):
                    yield None
                    continue
                at = self._facts.job.created_at
                former = parse(kind, text, zone=ZoneInfo(zone), saved_at=at)
                yield None if isinstance(former, Delay) else former

    def _former_texts(self) -> set[tuple[ExpressionKind, str]]:
        shown: list[dict[str, Any]] = []
        # "job.schedule" was what an edit of nothing but the schedule was called.
        for entry in self._entries("job.edit", "job.schedule"):
            shown += (entry.before or {}).get("schedule", [])
        return {(ExpressionKind(row["kind"]), row["text"]) for row in shown}

    def _former_zones(self) -> set[str]:
        befores = (entry.before or {} for entry in self._entries("job.edit"))
        return {before["time_zone"] for before in befores if "time_zone" in before}

    def _entries(self, *actions: str) -> list[AuditEntry]:
        rows = AuditEntry.objects.filter(object_type="job", object_id=self._facts.job.pk)
        return list(rows.filter(action__in=actions))


def _yields(schedule: Schedule, due_at: datetime) -> bool:
    return schedule.after(due_at - _EPSILON) == due_at
