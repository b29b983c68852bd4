"""Reasons of READY tasks: what keeps the ones that were not rung from starting (1-domain.md 2).

The ring itself only leaves them out; this pass asks the gates why and stores the verdict when it
changes, so that a status query already tells.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial

from django.db.models import Q, QuerySet

from sentinel_project import prepared
from tasks_app import gates, ledger, transitions, workers
from tasks_app.apart import attempt
from tasks_app.gates import Gate, blocked
from tasks_app.models import Task
from tasks_app.rules.states import Reason, TaskStatus

BATCH = 200


#: Where a task stands among those to be judged: since when it is ready, and its id.
Place = tuple[datetime, int]

_FIRST: Place = (datetime.min.replace(tzinfo=UTC), 0)


class ReasonRound:
    """Goes round all READY tasks that were not rung, a batch at a time."""

    def __init__(self) -> None:
        self._behind = _FIRST

    def go_on(self, *, now: datetime) -> None:
        """Judge the next batch; behind the last of all comes the first again."""
        tasks = _judged(now, self._behind)
        self._behind = _place(tasks[-1]) if len(tasks) == BATCH else _FIRST


def _place(task: Task) -> Place:
    assert task.ready_at is not None
    return task.ready_at, task.pk


def note_reasons(*, now: datetime) -> int:
    """Judge the first READY tasks that nobody has been rung for; return how many they were."""
    return len(_judged(now, _FIRST))


def _judged(now: datetime, behind: Place) -> list[Task]:
    """Judge a batch. One that cannot be judged keeps its reason and costs no other its own."""
    tasks = _unrung(now, *behind)
    if tasks:
        is_paused = ledger.is_system_paused()
        slots = workers.live_slots(now)
        held: dict[Gate, list[Task]] = {}

        def judge(task: Task) -> None:
            gate = _holding(task, slots, is_paused=is_paused, now=now)
            held.setdefault(gate, []).append(task)

        for task in tasks:
            attempt(partial(judge, task), "task.not_judged", task_id=task.pk)
        for gate, alike in held.items():
            note = partial(_note, alike, gate, now)
            attempt(note, "task.reason_not_noted", task_ids=[task.pk for task in alike])
    return tasks


def _note(tasks: list[Task], gate: Gate, now: datetime) -> None:
    reason = gate.reason or Reason.QUEUED
    transitions.wait_together(tasks, reason, gate.text, gate=gate.name, now=now)


@prepared.select
def _unrung(now: datetime, ready_at: datetime, task_id: int) -> QuerySet[Task]:
    is_behind = Q(ready_at__gt=ready_at) | Q(ready_at=ready_at, pk__gt=task_id)
    rows = Task.objects.filter(
        is_behind, status=TaskStatus.READY.value, ready_at__lte=now, rung_at__isnull=True
    )
    return rows.select_related("job__app", "worker_group").order_by("ready_at", "pk")[:BATCH]


def _holding(task: Task, slots: dict[int, int], *, is_paused: bool, now: datetime) -> Gate:
    starting = gates.starting_gates(task, is_paused=is_paused, now=now)
    gate = gates.first_blocking(starting)
    if gate is not None:
        return gate
    if not slots.get(task.worker_group_id):
        text = f"no live worker serves the group {task.worker_group.name}; start one"
        return blocked("workers", Reason.NO_WORKER, text)
    return blocked("dispatched", Reason.QUEUED, "it queues for a free slot of its group")
