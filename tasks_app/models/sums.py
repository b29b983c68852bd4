"""What is kept of runs that have left by retention: sums by the day (X-33)."""

from __future__ import annotations

from datetime import timedelta

from django.db import models

from jobs.models import Job
from tasks_app.rules.states import TaskKind


class DailySum(models.Model):
    """The runs of a job that were due on one day of its zone, once their tasks have left."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="daily_sums")
    kind = models.CharField(max_length=8, choices=[(kind.value, kind.value) for kind in TaskKind])
    day = models.DateField()
    success = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    killed = models.PositiveIntegerField(default=0)
    removed = models.PositiveIntegerField(default=0)
    attempts = models.PositiveIntegerField(default=0)
    #: How long the attempts ran, together and the longest of them.
    ran_for = models.DurationField(default=timedelta(0))
    longest = models.DurationField(default=timedelta(0))

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "day", "kind"], name="daily_sum_unique")
        ]

    def __str__(self) -> str:
        return f"{self.kind} runs of job {self.job_id} due on {self.day}: {self.counts()}"

    def counts(self) -> str:
        """Return how many runs ended how, in words."""
        ends = ("success", "failed", "killed", "removed")
        told = (f"{getattr(self, name)} {name.upper()}" for name in ends if getattr(self, name))
        return ", ".join(told)
