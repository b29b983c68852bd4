"""What ran: batches, tasks, their attempts, and notes of what no column keeps."""

from __future__ import annotations

from typing import Any

from django.db import models
from django.db.models import Q

from jobs.models import Job, ScheduleExpression, WorkerGroup
from tasks_app.rules.states import FINAL, LIVE, AttemptStatus, TaskKind, TaskStatus

_LIVE = sorted(status.value for status in LIVE)
#: Who let a task go, in words; more is cut off.
MAX_RELEASED_BY = 128
_FINAL = sorted(status.value for status in FINAL)


class Batch(models.Model):
    """One rerun request: its tasks depend on each other and on nothing else (D-51)."""

    created_at = models.DateTimeField()
    user = models.CharField(max_length=256, blank=True, default="")

    class Meta:
        verbose_name_plural = "batches"

    def __str__(self) -> str:
        return f"batch {self.pk}"


class Task(models.Model):
    """One run of a job for one due time. Only ``transitions`` writes its status (X-1).

    Every write of a status is a new entry in every index, so none is there twice or for nulls.
    """

    # Found by ``task_of_job``.
    job = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="tasks", db_index=False)
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in TaskKind])
    batch = models.ForeignKey(
        Batch, null=True, on_delete=models.PROTECT, related_name="tasks", db_index=False
    )
    due_at = models.DateTimeField()
    data_at = models.DateTimeField()
    status = models.PositiveSmallIntegerField(
        choices=[(status.value, status.name) for status in TaskStatus]
    )
    reason = models.CharField(max_length=32, blank=True, default="")
    reason_text = models.TextField(blank=True, default="")
    opened_at = models.DateTimeField()
    released_at = models.DateTimeField(null=True)
    #: When it may start: later than now while a retry interval runs (D-2).
    ready_at = models.DateTimeField(null=True)
    rung_at = models.DateTimeField(null=True)
    ring_count = models.PositiveIntegerField(default=0)
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    #: When it is too late to start; None: never (D-24).
    expires_at = models.DateTimeField(null=True)
    #: Grows with every claim and take-over (X-3).
    fence = models.BigIntegerField(default=0)
    attempt_count = models.PositiveIntegerField(default=0)
    #: Tries of the current budget, and requeues that cost none (X-6, 3-execution.md 3).
    tries_used = models.PositiveIntegerField(default=0)
    free_requeues = models.PositiveIntegerField(default=0)
    #: An operator asked for it: it runs whatever the job's status but TRASHED (D-56).
    is_asked = models.BooleanField(default=False)
    execute_user = models.CharField(max_length=256, blank=True, default="")
    kill_requested_at = models.DateTimeField(null=True)
    kill_user = models.CharField(max_length=256, blank=True, default="")
    removes_after_kill = models.BooleanField(default=False)
    #: Copies of the job's, so that the order of dispatch is one index.
    worker_group = models.ForeignKey(WorkerGroup, on_delete=models.PROTECT, db_index=False)
    priority = models.PositiveSmallIntegerField(default=1)
    opened_by_expression = models.ForeignKey(
        ScheduleExpression, null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    named_by = models.ForeignKey(
        "self", null=True, on_delete=models.SET_NULL, related_name="+", db_index=False
    )
    #: In words, as they were then: the expression that opened it, and what let it go (D-74).
    opened_by = models.CharField(max_length=1024, blank=True, default="", db_default="")
    released_by = models.CharField(
        max_length=MAX_RELEASED_BY, blank=True, default="", db_default=""
    )
    #: Parameters of a run-now that stand in for the job's own.
    extra = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["job", "due_at"],
                condition=Q(kind=TaskKind.SCHEDULE.value),
                name="task_one_per_slot",
            ),
            models.UniqueConstraint(
                fields=["job"], condition=Q(kind=TaskKind.TEMP.value), name="task_one_per_one_off"
            ),
            models.UniqueConstraint(
                fields=["batch", "job", "due_at"],
                condition=Q(kind=TaskKind.RERUN.value),
                name="task_one_per_batch_slot",
            ),
            models.CheckConstraint(
                condition=Q(status__in=_FINAL, ended_at__isnull=False)
                | Q(~Q(status__in=_FINAL), ended_at__isnull=True),
                name="task_ended_iff_final",
            ),
        ]
        indexes = [
            models.Index(fields=["job", "due_at"], name="task_of_job"),
            models.Index(
                fields=["worker_group", "-priority", "ready_at", "id"],
                condition=Q(status=TaskStatus.READY.value),
                name="task_ready",
            ),
            models.Index(
                fields=["job", "due_at"],
                condition=Q(status=TaskStatus.WAITING.value),
                name="task_waiting",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(status__in=[TaskStatus.WAITING.value, TaskStatus.READY.value])
                & Q(expires_at__isnull=False),
                name="task_expiring",
            ),
            models.Index(
                fields=["job"], condition=Q(status=TaskStatus.RUNNING.value), name="task_running"
            ),
            models.Index(
                fields=["job", "due_at"],
                condition=Q(status__in=[TaskStatus.FAILED.value, TaskStatus.KILLED.value]),
                name="task_broken",
            ),
            models.Index(
                fields=["ended_at"], condition=Q(ended_at__isnull=False), name="task_ended"
            ),
            models.Index(fields=["batch"], condition=Q(batch__isnull=False), name="task_of_batch"),
            models.Index(
                fields=["named_by"], condition=Q(named_by__isnull=False), name="task_named_by"
            ),
            models.Index(
                fields=["opened_by_expression"],
                condition=Q(opened_by_expression__isnull=False),
                name="task_opened_by",
            ),
        ]

    def __str__(self) -> str:
        return f"task {self.pk}"


class Attempt(models.Model):
    """One try at a task, with the content it really ran (D-59)."""

    #: It may be megabytes, and is looked at only if it is asked for.
    WHAT_RAN = ("content", "extra", "rendered")

    # Found by the constraint on its number.
    task = models.ForeignKey(
        Task, on_delete=models.CASCADE, related_name="attempts", db_index=False
    )
    number = models.PositiveIntegerField()
    fence = models.BigIntegerField()
    status = models.CharField(
        max_length=8, choices=[(status.value, status.value) for status in AttemptStatus]
    )
    worker = models.CharField(max_length=255)
    #: The task's own as the claim found them, which the next try overwrites (D-74).
    ready_at = models.DateTimeField(null=True)
    rung_at = models.DateTimeField(null=True)
    ring_count = models.PositiveIntegerField(default=0, db_default=0)
    claimed_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField()
    exit_code = models.IntegerField(null=True)
    reason = models.CharField(max_length=32, blank=True, default="")
    reason_text = models.TextField(blank=True, default="")
    content = models.TextField()
    extra = models.JSONField(default=dict)
    #: {"content", "extra"} with scripts read and placeholders filled in; None: as above (D-86).
    rendered = models.JSONField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["task", "number"], name="attempt_number_unique"),
            models.UniqueConstraint(
                fields=["task"], condition=Q(status__in=_LIVE), name="attempt_one_live"
            ),
        ]
        indexes = [
            models.Index(
                fields=["lease_until"], condition=Q(status__in=_LIVE), name="attempt_leases"
            ),
            models.Index(
                fields=["worker"], condition=Q(status__in=_LIVE), name="attempt_of_worker"
            ),
            models.Index(fields=["ended_at"], condition=Q(status="LOST"), name="attempt_lost"),
        ]

    def __str__(self) -> str:
        return f"attempt {self.number} of task {self.task_id}"

    @property
    def what_ran(self) -> dict[str, Any]:
        """Return content and extra as they ran; as they were written if it came to nothing."""
        return self.rendered or {"content": self.content, "extra": self.extra}


class TaskNote(models.Model):
    """A fact of a task's history that no column keeps, or one is to forget (D-70, D-74)."""

    task = models.ForeignKey(Task, on_delete=models.CASCADE, related_name="notes")
    at = models.DateTimeField()
    fact = models.CharField(max_length=32)
    gate = models.CharField(max_length=64, blank=True, default="", db_default="")
    reason = models.CharField(max_length=32, blank=True, default="")
    text = models.TextField(blank=True, default="")
    user = models.CharField(max_length=256, blank=True, default="")

    class Meta:
        indexes = [models.Index(fields=["task", "id"], name="note_of_task")]

    def __str__(self) -> str:
        return f"{self.fact} of task {self.task_id}"
