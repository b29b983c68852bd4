"""What should run, and when: apps, worker groups, jobs with their schedules and dependencies.

What is kept of calls is in ``jobs.records``, and belongs here all the same.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import F, Q

from jobs.assets import Artifact as Artifact
from jobs.assets import ArtifactPiece as ArtifactPiece
from jobs.assets import Credential as Credential
from jobs.assets import Script as Script
from jobs.assets import ScriptVersion as ScriptVersion
from jobs.records import AuditEntry as AuditEntry
from jobs.records import AuthFailure as AuthFailure
from jobs.records import RequestRecord as RequestRecord
from jobs.rules.enums import (
    AppKind,
    CommonStrategy,
    ContentType,
    ExpressionKind,
    JobStatus,
    MisfirePolicy,
    TokenForms,
)

DEFAULT_GROUP_ID = 1
_STORED_STATUSES = [JobStatus.ACTIVE, JobStatus.DISABLED, JobStatus.TRASHED, JobStatus.PAUSED]


def new_revision() -> int:
    """Return a number that no other revision of any job has."""
    return secrets.randbits(62)


def _choices(words: type[AppKind | MisfirePolicy | TokenForms]) -> list[tuple[str, str]]:
    return [(word.value, word.value) for word in words]


def _codes(
    words: type[JobStatus | ContentType | ExpressionKind | CommonStrategy],
) -> list[tuple[int, str]]:
    return [(word.value, word.name) for word in words]


class WorkerGroup(models.Model):
    """A set of workers; names a Celery queue (D-81). Group 1 is the default."""

    name = models.CharField(max_length=64, unique=True)
    is_enabled = models.BooleanField(default=True)

    def __str__(self) -> str:
        return self.name


class Department(models.Model):
    """A name that the label ``department`` of jobs may have (D-83)."""

    name = models.CharField(max_length=256, unique=True)

    def __str__(self) -> str:
        return self.name


class BizGroup(models.Model):
    """What an id in the label ``bizGroups`` of jobs is called (D-83)."""

    name = models.CharField(max_length=256, unique=True)

    def __str__(self) -> str:
        return self.name


class App(models.Model):
    """A registered business system (D-80). Up to two live keys, stored encrypted (W-12)."""

    name = models.CharField(max_length=64, unique=True)
    kind = models.CharField(max_length=8, choices=_choices(AppKind), default=AppKind.NORMAL.value)
    is_enabled = models.BooleanField(default=True)
    owner = models.CharField(max_length=128, blank=True, default="")
    sealed_key = models.TextField(editable=False)
    sealed_old_key = models.TextField(
        editable=False, blank=True, default="", help_text="still accepted until dropped"
    )
    token_forms = models.CharField(
        max_length=4,
        choices=_choices(TokenForms),
        default=TokenForms.BOTH.value,
        help_text="v1: the published token, v2: the strong one, which signs the whole call",
    )
    max_concurrency = models.PositiveIntegerField(default=0, help_text="0 = unlimited")
    max_priority = models.PositiveSmallIntegerField(default=10)
    allowed_groups = models.ManyToManyField(
        WorkerGroup, blank=True, help_text="none chosen = every group"
    )
    #: {jobType: [worker group ids]}; empty: every type, no groups: every allowed group.
    allowed_types = models.JSONField(default=dict, blank=True)
    created_at = models.DateTimeField()
    #: It was deleted: no key fits it, and its name stays what history calls it.
    closed_at = models.DateTimeField(null=True, editable=False)

    def __str__(self) -> str:
        return self.name

    @property
    def is_admin(self) -> bool:
        return self.kind == AppKind.ADMIN


class Job(models.Model):
    """A definition of work. Its identity is ``jobId``; its runs are tasks."""

    app = models.ForeignKey(App, on_delete=models.PROTECT, related_name="jobs")
    name = models.CharField(max_length=256)
    job_type = models.CharField(max_length=32)
    content = models.TextField()
    content_type = models.PositiveSmallIntegerField(
        choices=_codes(ContentType), default=ContentType.TEXT
    )
    extra = models.JSONField(default=dict, blank=True, help_text="the job's own parameters")
    status = models.PositiveSmallIntegerField(
        choices=[(status.value, status.name) for status in _STORED_STATUSES],
        default=JobStatus.ACTIVE,
    )
    worker_group = models.ForeignKey(
        WorkerGroup, on_delete=models.PROTECT, default=DEFAULT_GROUP_ID
    )
    department = models.CharField(max_length=256, blank=True, default="")
    biz_groups = models.CharField(max_length=1024, blank=True, default="")
    priority = models.PositiveSmallIntegerField(default=1)
    is_one_off = models.BooleanField(default=False)
    is_serial = models.BooleanField(default=False)
    is_shared = models.BooleanField(default=False, help_text="other apps may depend on it")
    active_from = models.DateTimeField(null=True, blank=True)
    active_until = models.DateTimeField(null=True, blank=True)
    expire_after = models.DurationField(
        default=timedelta(days=1), help_text="zero: never expires (D-24)"
    )
    max_retries = models.PositiveSmallIntegerField(default=0)
    retry_interval = models.DurationField(default=timedelta(seconds=3))
    timeout = models.DurationField(default=timedelta(0), help_text="per attempt; zero = none")
    misfire_policy = models.CharField(
        max_length=8, choices=_choices(MisfirePolicy), default=MisfirePolicy.ALL.value
    )
    time_zone = models.CharField(max_length=64)
    callback_url = models.CharField(max_length=1024, blank=True, default="")
    #: Kept by whoever changes its alarms, so that no run has to ask for them (D-84).
    has_alarms = models.BooleanField(default=False, db_default=False, editable=False)
    created_by = models.CharField(max_length=256, blank=True, default="")
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    #: The end of the active window was noticed, and whoever waits for the job was told (D-35).
    is_over_noted = models.BooleanField(default=False)
    #: Another one after every edit of the job, its schedule or its dependencies.
    revision = models.BigIntegerField(default=new_revision)
    #: Nothing before it is ever caught up: created, or left DISABLED (D-23).
    floor_at = models.DateTimeField()
    #: When a PAUSED job was paused; what was done since names its runs at the resume (D-36).
    paused_at = models.DateTimeField(null=True, blank=True)
    #: What was due before it has left by retention: nothing is owed, named or filled there (X-33).
    history_from = models.DateTimeField(null=True, editable=False)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["app", "name"],
                condition=~Q(status=JobStatus.TRASHED),
                name="job_name_unique_in_app",
            ),
            models.CheckConstraint(
                condition=Q(status__in=[status.value for status in _STORED_STATUSES]),
                name="job_status_is_stored_one",
            ),
            models.CheckConstraint(
                condition=Q(active_from__isnull=True)
                | Q(active_until__isnull=True)
                | Q(active_from__lte=F("active_until")),
                name="job_active_window_in_order",
            ),
        ]
        indexes = [
            models.Index(
                fields=["active_until"],
                condition=Q(active_until__isnull=False, is_over_noted=False),
                name="job_window_ending",
            )
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def is_active_at(self, due_at: datetime) -> bool:
        """Tell whether ``due_at`` lies in the active window (D-22)."""
        after_start = self.active_from is None or due_at >= self.active_from
        return after_start and (self.active_until is None or due_at < self.active_until)

    def has_left(self, due_at: datetime) -> bool:
        """Tell whether ``due_at`` lies before the history that retention has kept (X-33)."""
        return self.history_from is not None and due_at < self.history_from

    def status_at(self, now: datetime) -> JobStatus:
        """Return the status as everyone reads it: EXPIRED once the window is over (D-1)."""
        stored = JobStatus(self.status)
        is_over = self.active_until is not None and self.active_until <= now
        return JobStatus.EXPIRED if is_over and stored is not JobStatus.TRASHED else stored

    def expires_at(self, due_at: datetime) -> datetime | None:
        """Return when a task due at ``due_at`` is too late to start; None: never (D-24)."""
        if not self.expire_after:
            return None
        try:
            return due_at + self.expire_after
        except OverflowError:
            return datetime.max.replace(tzinfo=UTC)


class Grant(models.Model):
    """``job`` may be waited for by the jobs of another app, registered or not yet (D-80)."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="grants")
    app_name = models.CharField(max_length=64)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["job", "app_name"], name="grant_unique")]

    def __str__(self) -> str:
        return f"{self.app_name} may wait for {self.job_id}"


class DependencyEntry(models.Model):
    """``job`` waits for the runs of ``upstream`` that ``offset`` names (1-domain.md 4)."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="dependencies")
    upstream = models.ForeignKey(Job, on_delete=models.PROTECT, related_name="dependents")
    common_strategy = models.PositiveSmallIntegerField(
        choices=_codes(CommonStrategy), default=CommonStrategy.ALL
    )
    offset = models.CharField(max_length=64, blank=True, default="cd")

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["job", "upstream"], name="dependency_unique"),
            models.CheckConstraint(condition=~Q(job=F("upstream")), name="dependency_not_on_self"),
        ]

    def __str__(self) -> str:
        return f"{self.job_id} waits for {self.upstream_id}"


class ScheduleExpression(models.Model):
    """One expression of a job, with its cursor: the next slot to open (D-21)."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="expressions")
    kind = models.PositiveSmallIntegerField(
        choices=_codes(ExpressionKind), default=ExpressionKind.CRON
    )
    text = models.CharField(max_length=1024)
    #: The instant it was saved: the anchor of unanchored forms (D-16).
    anchor_at = models.DateTimeField()
    #: Slots before it are not expected and never caught up (D-23).
    floor_at = models.DateTimeField()
    #: None: the series is over, or a delay waits for its run to end.
    next_due_at = models.DateTimeField(null=True, blank=True)
    #: What was raised when its slots were planned; it is set aside, and its cursor stays (X-9).
    fault = models.TextField(blank=True, default="")
    #: How often that happened since it last went well.
    faults = models.PositiveIntegerField(default=0, db_default=0)
    #: Until then it is stepped over, so that it stops no other.
    aside_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(
                fields=["next_due_at"],
                condition=Q(next_due_at__isnull=False),
                name="expression_due",
            )
        ]

    def __str__(self) -> str:
        return self.text
