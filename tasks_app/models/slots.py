"""What became of slots without a run, and what may let runs go: gaps, skip marks, events."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from jobs.models import Job, ScheduleExpression
from jobs.rules.enums import GapReason
from tasks_app.models.runs import Task


class Event(models.Model):
    """Something that may let tasks go; left by the commit that did it, processed later (X-8).

    ``job`` changed, or its ``task`` ended: the job and its dependents are looked at again.
    """

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+", db_index=False)
    task = models.ForeignKey(Task, null=True, on_delete=models.CASCADE, related_name="+")
    created_at = models.DateTimeField()
    processed_at = models.DateTimeField(null=True)
    #: Who found it: whoever ended the task, or beat's pass behind it.
    processed_by = models.CharField(max_length=8, blank=True, default="", db_default="")
    #: A failing event steps aside until then, so that it stops nothing else.
    not_before = models.DateTimeField(null=True)
    faults = models.PositiveIntegerField(default=0)

    class Meta:
        indexes = [
            models.Index(
                fields=["id"], condition=Q(processed_at__isnull=True), name="event_unprocessed"
            ),
            models.Index(
                fields=["processed_at"],
                condition=Q(processed_at__isnull=False),
                name="event_processed",
            ),
        ]

    def __str__(self) -> str:
        return f"event {self.pk}"


class Gap(models.Model):
    """Slots that were not opened, and why; ``from_at`` and ``to_at`` both belong (D-23)."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="gaps")
    expression = models.ForeignKey(
        ScheduleExpression, null=True, on_delete=models.SET_NULL, related_name="+"
    )
    #: What yielded the slots, kept so that they can be listed after an edit; empty: one slot.
    schedule_kind = models.PositiveSmallIntegerField(null=True)
    schedule_text = models.CharField(max_length=1024, blank=True, default="")
    anchor_at = models.DateTimeField(null=True)
    from_at = models.DateTimeField()
    to_at = models.DateTimeField()
    count = models.PositiveIntegerField()
    reason = models.CharField(max_length=16, choices=[(r.value, r.value) for r in GapReason])
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["job", "to_at"], name="gap_of_job")]

    def __str__(self) -> str:
        return f"{self.count} slots of job {self.job_id}: {self.reason}"


class SkipMark(models.Model):
    """A future slot that will open as REMOVED (D-55)."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="skip_marks")
    due_at = models.DateTimeField()
    user = models.CharField(max_length=256, blank=True, default="")
    reason = models.TextField(blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "due_at"], name="skip_mark_unique")]

    def __str__(self) -> str:
        return f"skip of job {self.job_id} at {self.due_at:%Y-%m-%dT%H:%M:%S%z}"
