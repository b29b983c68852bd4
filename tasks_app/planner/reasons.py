"""Reasons of READY tasks: what keeps the ones that were not rung from starting (1-domain.md 2).

The ring itself only leaves them out; this pass asks the gates why and stores the verdict when it
changes, so that a status query already tells.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

from django.db.models import QuerySet

from sentinel_project import prepared
from tasks_app import gates, ledger, transitions, workers
from tasks_app.apart import attempt
from tasks_app.gates import Gate, blocked
from tasks_app.models import Task
from tasks_app.rules.states import Reason, TaskStatus

BATCH = 200


def note_reasons(*, now: datetime) -> int:
    """Judge the READY tasks that nobody has been rung for; return how many were looked at.

    One that cannot be judged keeps its reason and costs no other its own.
    """
    tasks = _unrung(now)
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
    return len(tasks)


def _note(tasks: list[Task], gate: Gate, now: datetime) -> None:
    reason = gate.reason or Reason.QUEUED
    transitions.wait_together(tasks, reason, gate.text, gate=gate.name, now=now)


@prepared.select
def _unrung(now: datetime) -> QuerySet[Task]:
    rows = Task.objects.filter(
        status=TaskStatus.READY.value, ready_at__lte=now, rung_at__isnull=True
    )
    return rows.select_related("job__app", "worker_group").order_by("ready_at")[:BATCH]


def _holding(task: Task, slots: dict[int, int], *, is_paused: bool, now: datetime) -> Gate:
    starting = gates.starting_gates(task, is_paused=is_paused, now=now)
    gate = gates.first_blocking(starting)
    if gate is not None:
        return gate
    if not slots.get(task.worker_group_id):
        text = f"no live worker serves the group {task.worker_group.name}; start one"
        return blocked("workers", Reason.NO_WORKER, text)
    return blocked("dispatched", Reason.QUEUED, "it queues for a free slot of its group")
