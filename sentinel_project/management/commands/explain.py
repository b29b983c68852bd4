"""``manage.py explain TASK_ID | JOB_ID DUE``: why a run runs, waits or is not there (D-70)."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from jobs.models import Job
from sentinel_project import clock
from sentinel_project.errors import InvalidParameters
from sentinel_project.management.instants import instant_of
from tasks_app import explain, selectors
from tasks_app.models import Task
from tasks_app.rules.states import TaskStatus

_MARKS = {"passed": "ok ", "blocking": "NO ", "not_reached": " . "}


class Command(BaseCommand):
    help = "Print the gates of a run in order: passed, blocking or not reached."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("id", type=int, help="a task; with DUE a job")
        parser.add_argument("due", nargs="?", help="ISO 8601; a naive one is in the job's zone")
        parser.add_argument("--at", help="as it was at an earlier instant, written as DUE is")
        parser.add_argument("--pretty", action="store_true", help="lines instead of JSON")

    def handle(self, *args: Any, id: int, due: str | None, pretty: bool, **options: Any) -> None:  # noqa: A002 - the argument's name
        at: str | None = options["at"]
        answer = _task(id, at) if due is None else _run(id, due, at)
        self.stdout.write(_lines(answer) if pretty else json.dumps(answer, ensure_ascii=False))


def _task(task_id: int, at: str | None) -> dict[str, Any]:
    rows = Task.objects.select_related("job__app", "worker_group")
    task = rows.filter(pk=task_id).first()
    if task is None:
        raise CommandError(f"no task {task_id}", returncode=2)
    return _explained(task.job, task.due_at, task, _instant(at, task.job, task))


def _run(job_id: int, due: str, at: str | None) -> dict[str, Any]:
    job = Job.objects.select_related("app").filter(pk=job_id).first()
    if job is None:
        raise CommandError(f"no job {job_id}", returncode=2)
    due_at = instant_of(due, name="DUE", zone=job.zone)
    task = selectors.owed_task_of(job, due_at)
    return _explained(job, due_at, task, _instant(at, job, None))


def _instant(text: str | None, job: Job, task: Task | None) -> datetime | None:
    """Return the instant asked about; None: now."""
    if text is None:
        return None
    at = instant_of(text, name="--at", zone=job.zone)
    try:
        explain.refuse_instant(at, job, task, now=clock.now())
    except InvalidParameters as refusal:
        raise CommandError(f"--{refusal}", returncode=2) from refusal
    return at


def _explained(
    job: Job, due_at: datetime, task: Task | None, at: datetime | None
) -> dict[str, Any]:
    def time(instant: datetime) -> str:
        return instant.astimezone(job.zone).isoformat()

    gates = explain.explain(job, due_at, task, now=clock.now(), at=at)
    return {
        "job": job.pk,
        "name": job.name,
        "due": time(due_at),
        "task": None if task is None else task.pk,
        "status": None if task is None else TaskStatus(task.status).name,
        "at": None if at is None else time(at),
        "gates": [
            {**explain.shown(gate, {}, time), "since": time(gate.since) if gate.since else None}
            for gate in gates
        ],
    }


def _lines(answer: dict[str, Any]) -> str:
    task = f"task {answer['task']} {answer['status']}" if answer["task"] else "no task"
    then = f", as it was at {answer['at']}" if answer["at"] else ""
    lines = [f"job {answer['job']} ({answer['name']}) due {answer['due']}: {task}{then}"]
    for gate in answer["gates"]:
        since = f"since {gate['since']}" if gate["since"] and gate["state"] == "blocking" else None
        said = " ".join(filter(None, (gate["reason"], gate["text"], since)))
        lines.append(f"{_MARKS[gate['state']]}{gate['gate']}" + (f": {said}" if said else ""))
        lines += [f"      {run['due']} {run['status'] or '-'}" for run in gate.get("expected", [])]
    return "\n".join(lines)
