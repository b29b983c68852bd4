"""What is kept of calls: the audit log, first answers, refused tokens. Part of ``jobs.models``."""

from __future__ import annotations

from django.db import models


class AuditEntry(models.Model):
    """Who changed what, append-only (D-85)."""

    at = models.DateTimeField()
    app = models.ForeignKey("jobs.App", null=True, on_delete=models.PROTECT)
    user = models.CharField(max_length=256, blank=True, default="")
    address = models.CharField(max_length=64, blank=True, default="")
    action = models.CharField(max_length=64)
    object_type = models.CharField(max_length=32)
    object_id = models.BigIntegerField()
    before = models.JSONField(null=True)
    after = models.JSONField(null=True)

    class Meta:
        verbose_name_plural = "audit entries"
        indexes = [models.Index(fields=["object_type", "object_id", "at"], name="audit_of_object")]

    def __str__(self) -> str:
        return f"{self.action} {self.object_type} {self.object_id}"


class RequestRecord(models.Model):
    """The first answer to a mutating request, given again when the request is repeated (W-13)."""

    app = models.ForeignKey("jobs.App", on_delete=models.CASCADE)
    endpoint = models.CharField(max_length=128)
    request_key = models.CharField(max_length=80)
    digest = models.CharField(max_length=64)
    answer = models.JSONField(null=True)
    created_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["app", "endpoint", "request_key"], name="request_answered_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.endpoint} {self.request_key}"


class AuthFailure(models.Model):
    """A token that was refused; too many from one address are answered with 429 (W-12)."""

    app_name = models.CharField(max_length=64, help_text="as given, its first 64 characters")
    address = models.CharField(max_length=64)
    at = models.DateTimeField(db_index=True)

    class Meta:
        indexes = [models.Index(fields=["app_name", "address", "at"], name="auth_failure_of")]

    def __str__(self) -> str:
        return f"{self.app_name} from {self.address}"
