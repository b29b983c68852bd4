"""What others are told: alarms, the outbox of changes, and the deliveries made of both (D-84)."""

from __future__ import annotations

from datetime import timedelta

from django.db import models
from django.db.models import Q

from tasks_app.rules.notices import AlarmEvent, Channel, DeliveryState, SystemEvent
from tasks_app.rules.states import TaskStatus


class Alarm(models.Model):
    """Whom to tell when a job's runs do not go as they should."""

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="alarms")
    #: Words of ``AlarmEvent``; the two deadlines have columns of their own.
    events = models.JSONField(default=list)
    #: How long after its due time a run must have started, and finished; None: however long.
    start_within = models.DurationField(null=True, blank=True)
    finish_within = models.DurationField(null=True, blank=True)
    webhooks = models.JSONField(default=list)
    mails = models.JSONField(default=list)
    #: The same event is not told again within it.
    quiet_for = models.DurationField(default=timedelta(0))
    is_enabled = models.BooleanField(default=True)
    created_by = models.CharField(max_length=256, blank=True, default="")
    #: Runs that were due before it are not looked at.
    created_at = models.DateTimeField()
    #: When it was last looked for runs that were never opened; None: not yet.
    looked_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return f"alarm {self.pk}"


class Change(models.Model):
    """A task took a new status and somebody wants to know: left by the commit that did it.

    Only for jobs with a callback or an alarm. It goes once its deliveries are there.
    """

    job = models.ForeignKey("jobs.Job", on_delete=models.CASCADE, related_name="+")
    task = models.ForeignKey("tasks_app.Task", on_delete=models.CASCADE, related_name="+")
    to_status = models.PositiveSmallIntegerField(
        choices=[(status.value, status.name) for status in TaskStatus]
    )
    attempt_number = models.PositiveIntegerField()
    reason = models.CharField(max_length=32, blank=True, default="")
    reason_text = models.TextField(blank=True, default="")
    at = models.DateTimeField()

    def __str__(self) -> str:
        return f"change {self.pk}"


class Delivery(models.Model):
    """One thing to tell to one receiver, and how that went."""

    #: None: it is about the system, and for its operators.
    job = models.ForeignKey(
        "jobs.Job", null=True, on_delete=models.CASCADE, related_name="deliveries"
    )
    #: None: it is about a run that was never opened, known by its due time, or about the system.
    task = models.ForeignKey(
        "tasks_app.Task", null=True, on_delete=models.CASCADE, related_name="+"
    )
    due_at = models.DateTimeField(null=True)
    #: None: a callback, or an alarm that was deleted.
    alarm = models.ForeignKey(Alarm, null=True, on_delete=models.SET_NULL, related_name="+")
    #: A word of ``AlarmEvent`` or ``SystemEvent``; empty: a callback.
    event = models.CharField(
        max_length=16,
        blank=True,
        default="",
        choices=[(e.value, e.value) for e in (*AlarmEvent, *SystemEvent)],
    )
    channel = models.CharField(max_length=8, choices=[(c.value, c.value) for c in Channel])
    target = models.CharField(max_length=1024)
    #: What is told, once and for all; redeliveries say the same.
    payload = models.JSONField()
    #: The same thing is not told twice to the same receiver.
    once_key = models.CharField(max_length=64, unique=True)
    state = models.CharField(
        max_length=10,
        choices=[(s.value, s.value) for s in DeliveryState],
        default=DeliveryState.PENDING.value,
    )
    tries = models.PositiveIntegerField(default=0)
    #: When to try next; while one is under way, when that one counts as lost. None: it is over.
    next_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        verbose_name_plural = "deliveries"
        indexes = [
            models.Index(
                fields=["next_at"], condition=Q(next_at__isnull=False), name="delivery_pending"
            ),
            models.Index(fields=["alarm", "event", "created_at"], name="delivery_of_alarm"),
            models.Index(fields=["ended_at"], name="delivery_ended"),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"


class DeliveryTry(models.Model):
    """One attempt at a delivery, and what came of it."""

    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="log")
    number = models.PositiveIntegerField()
    at = models.DateTimeField()
    took_ms = models.PositiveIntegerField()
    is_good = models.BooleanField()
    answer = models.CharField(max_length=500)

    class Meta:
        verbose_name_plural = "delivery tries"

    def __str__(self) -> str:
        return f"try {self.number} of delivery {self.delivery_id}"
