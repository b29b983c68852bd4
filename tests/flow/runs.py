"""Attempts that really run: a READY task, the runner, and what is kept afterwards."""

from __future__ import annotations

from typing import Any

from jobs.artifact_services import add_piece, whole
from jobs.models import App, Artifact, Job
from logs_app import store
from logs_app.models import StreamKind
from sentinel_project import clock
from tasks_app import runner
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import TaskKind, TaskStatus
from tests.builders import NOW, make_job, make_task


class Ran:
    """The last attempt of a task, its task, and what it printed."""

    def __init__(self, task_id: int) -> None:
        self.task = Task.objects.get(pk=task_id)
        self.attempt: Attempt = self.task.attempts.order_by("-number")[:1].get()
        self.result = store.read_all(self.attempt.pk, StreamKind.RESULT).text
        self.log = store.read_all(self.attempt.pk, StreamKind.LOG).text

    @property
    def ending(self) -> tuple[str, str]:
        """Status and reason of the task, as people read them."""
        return TaskStatus(self.task.status).name, self.attempt.reason


def run(job: Job, **task: Any) -> Ran:
    """Run one attempt of a new task of ``job``, here and now."""
    ready = make_task(job=job, kind=TaskKind.MANUAL.value, **task)
    return run_again(ready.pk)


def run_again(task_id: int) -> Ran:
    runner.run(task_id, worker="w1", clock=clock.now)
    return Ran(task_id)


def job_of(job_type: str, content: str, **words: Any) -> Job:
    return make_job(job_type=job_type, content=content, **words)


def make_artifact(data: bytes, *, owner: App | None = None) -> Artifact:
    return add_piece(whole("a.jar", data), owner=owner, app=None, user="ann", now=NOW)
