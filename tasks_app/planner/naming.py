"""Naming: an upstream's run that is done names a run of a job without a schedule (D-36)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from jobs.expected import Expectations, ExpectedRun
from jobs.facts import Facts, naming_of
from jobs.models import Job
from jobs.rules.enums import GapReason, JobStatus
from tasks_app import transitions
from tasks_app.models import Gap, Task
from tasks_app.planner.plans import ends_before_floor
from tasks_app.rules.states import TaskKind, TaskStatus
from tasks_app.transitions import Opening

_NAMING_KINDS = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]


def name_runs(
    facts: Facts, ended: Iterable[Task], expectations: Expectations, *, now: datetime
) -> None:
    """Open the runs that done tasks of upstreams name, once (the unique key decides).

    What ended while the job was PAUSED is left to its resume, and what ended before is not.
    """
    if facts.job.status == JobStatus.PAUSED:
        ended = [task for task in ended if _ended_before(task, facts.job.paused_at)]
    elif facts.job.status != JobStatus.ACTIVE:
        return
    _open(facts, filter(_names, ended), expectations, now)


def _ended_before(task: Task, paused_at: datetime | None) -> bool:
    return paused_at is not None and task.ended_at is not None and task.ended_at < paused_at


def name_since_pause(facts: Facts, expectations: Expectations, *, now: datetime) -> None:
    """Open what was named while the job was PAUSED, at its resume."""
    job = facts.job
    if job.status != JobStatus.ACTIVE or job.paused_at is None:
        return
    if facts.is_named:
        upstreams = [upstream.job_id for upstream in naming_of(expectations.counting(facts))]
        ended = Task.objects.filter(job_id__in=upstreams, ended_at__gte=job.paused_at)
        _open(facts, filter(_names, ended), expectations, now)
    Job.objects.filter(pk=job.pk).update(paused_at=None)


def _names(ended: Task) -> bool:
    """Tell whether a task is a run that names: done, and removed by nobody but an operator."""
    run = ExpectedRun(ended.due_at, TaskStatus(ended.status), ended.reason)
    return ended.kind in _NAMING_KINDS and run.is_done and run.names


def _open(facts: Facts, done: Iterable[Task], expectations: Expectations, now: datetime) -> None:
    upstreams = expectations.counting(facts)
    namers = {upstream.job_id for upstream in naming_of(upstreams)}
    # Runs of one due time name the same, and a join has as many of them as upstreams.
    firsts: dict[datetime, int] = {}
    for task in done:
        if task.job_id in namers:
            firsts.setdefault(task.due_at, task.pk)
    named: dict[datetime, int] = {}
    for due_at, task_id in firsts.items():
        due = expectations.named(facts.job.pk, due_at)
        if due is not None:
            named.setdefault(due, task_id)
    openings: list[Opening] = []
    for due, task_id in named.items():
        if any(ends_before_floor(facts, up, due, expectations) for up in upstreams):
            _leave_gap(facts.job, due, now)
            continue
        openings.append(
            Opening(
                job=facts.job,
                due_at=due,
                expires_at=facts.job.expires_at(due),
                named_by_id=task_id,
            )
        )
    transitions.open_tasks(openings, now=now)


def _leave_gap(job: Job, due: datetime, now: datetime) -> None:
    """Say once that no run is named at ``due``; whoever calls has the job's lock.

    Its expressions of former days may have left a gap of their own there.
    """
    reason = GapReason.NO_UPSTREAM_YET.value
    same = {"job": job, "expression": None, "from_at": due, "to_at": due, "reason": reason}
    if not Gap.objects.filter(**same).exists():
        Gap.objects.create(**same, count=1, created_at=now)
        transitions.leave_event(job, now=now)
