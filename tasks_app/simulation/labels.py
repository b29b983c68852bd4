"""Labels: how a rehearsal names its tasks, stable from run to run."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from jobs.models import Job
from sentinel_project.errors import NotFound
from tasks_app.models import Batch, Task
from tasks_app.rules.states import TaskKind
from tasks_app.simulation.fields import instant

_PLAIN = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]


class Labels:
    """The document's labels, and the rows they stand for."""

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        self.ids: dict[str, int] = {}
        self._labels: dict[int, str] = {}

    def add(self, label: str, job_id: int) -> None:
        self.ids[label] = job_id
        self._labels[job_id] = label

    def of_job(self, job_id: int) -> str:
        return self._labels[job_id]

    def job_id(self, label: object) -> int:
        """Return the job of a label; one that is no job is refused as the API would."""
        if not isinstance(label, str) or label not in self.ids:
            raise NotFound(f"no job {label!r}")
        return self.ids[label]

    def of_task(self, task: Task) -> str:
        """Return ``job@due``, with ``#r<batch>`` for reruns and ``#m<n>`` for manual runs."""
        label = f"{self.of_job(task.job_id)}@{self.time(task.due_at)}"
        if task.kind == TaskKind.RERUN:
            return f"{label}#r{Batch.objects.filter(pk__lte=task.batch_id or 0).count()}"
        if task.kind == TaskKind.MANUAL:
            manual = Task.objects.filter(job_id=task.job_id, kind=TaskKind.MANUAL.value)
            return f"{label}#m{manual.filter(pk__lte=task.pk).count()}"
        return label

    def task(self, label: object) -> Task:
        """Return the task of a label."""
        for task in self._candidates(str(label)):
            if self.of_task(task) == label:
                return task
        raise NotFound(f"no task {label!r}")

    def subject(self, label: str) -> tuple[Job, datetime, Task | None]:
        """Return what a label speaks of: a job, a due time, and its task if there is one."""
        job_label, _, due = label.partition("@")
        job = Job.objects.select_related("app").get(pk=self.job_id(job_label))
        try:
            task = self.task(label)
        except NotFound:
            return job, instant(due.partition("#")[0], "task", self.zone), None
        return job, task.due_at, task

    def _candidates(self, label: str) -> list[Task]:
        job_label, _, _ = label.partition("@")
        rows = Task.objects.filter(job_id=self.ids.get(job_label, 0)).select_related(
            "job__app", "worker_group"
        )
        is_plain = "#" not in label
        rows = rows.filter(kind__in=_PLAIN) if is_plain else rows.exclude(kind__in=_PLAIN)
        return list(rows)

    def time(self, at: datetime) -> str:
        """Return an instant as the document writes it; a fold's second pass with its offset."""
        local = at.astimezone(self.zone)
        fraction = "milliseconds" if local.microsecond else "seconds"
        naive = local.replace(tzinfo=None)
        is_second_pass = (
            local.fold and self.zone.utcoffset(naive.replace(fold=0)) != local.utcoffset()
        )
        shown = local if is_second_pass else naive
        return shown.isoformat(timespec=fraction)

    def time_or_none(self, at: datetime | None) -> str | None:
        return None if at is None else self.time(at)
