"""Who is alive, and whether the whole system is paused."""

from __future__ import annotations

from django.db import models

from jobs.models import WorkerGroup


class Worker(models.Model):
    """A worker process that registered and beats (D-81)."""

    name = models.CharField(max_length=255, unique=True)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    pool = models.CharField(max_length=16)
    slots = models.PositiveIntegerField()
    groups = models.ManyToManyField(WorkerGroup, related_name="workers")
    containment = models.CharField(max_length=64, blank=True, default="")
    job_types = models.JSONField(default=dict, help_text="why each cannot be run here, or empty")
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    stopped_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class Scheduler(models.Model):
    """A beat process and its last tick, so that everybody can see whether one is alive."""

    name = models.CharField(max_length=255, unique=True)
    started_at = models.DateTimeField()
    beat_at = models.DateTimeField()
    #: Until when it alone sends the ordinary periodic tasks.
    lease_until = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.name


class SystemState(models.Model):
    """The one row of the whole-system pause (D-60)."""

    is_paused = models.BooleanField(default=False)
    changed_at = models.DateTimeField(null=True)
    changed_by = models.CharField(max_length=256, blank=True, default="")

    def __str__(self) -> str:
        return "paused" if self.is_paused else "running"
