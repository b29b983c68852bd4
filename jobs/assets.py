"""What jobs refer to and do not hold themselves: scripts, artifacts, connections and secrets."""

from __future__ import annotations

from django.db import models
from django.db.models import Q

from jobs.rules.enums import CredentialKind


class Script(models.Model):
    """A stored script; its text is that of its versions (content type 2).

    ``app`` None: every app may run it.
    """

    app = models.ForeignKey(
        "jobs.App", null=True, blank=True, on_delete=models.PROTECT, related_name="scripts"
    )
    name = models.CharField(max_length=256)
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["app", "name"], name="script_name_unique_in_app"),
            models.UniqueConstraint(
                fields=["name"], condition=Q(app__isnull=True), name="script_name_unique_for_all"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class ScriptVersion(models.Model):
    """The text of a script as it was saved once; never edited."""

    script = models.ForeignKey(Script, on_delete=models.CASCADE, related_name="versions")
    number = models.PositiveIntegerField()
    text = models.TextField()
    user = models.CharField(max_length=256, blank=True, default="")
    created_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["script", "number"], name="script_version_unique")
        ]

    def __str__(self) -> str:
        return f"{self.script_id}@{self.number}"


class Artifact(models.Model):
    """An uploaded file such as a jar, known by what is in it (content type 3).

    ``app`` None: every app may run it.
    """

    app = models.ForeignKey(
        "jobs.App", null=True, blank=True, on_delete=models.PROTECT, related_name="artifacts"
    )
    name = models.CharField(max_length=256)
    sha256 = models.CharField(max_length=64)
    size = models.BigIntegerField(help_text="bytes")
    received = models.BigIntegerField(default=0, help_text="bytes that are there by now")
    user = models.CharField(max_length=256, blank=True, default="")
    created_at = models.DateTimeField()
    #: None: pieces of it are still missing, and nothing runs it.
    completed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["app", "sha256"], name="artifact_unique_in_app"),
            models.UniqueConstraint(
                fields=["sha256"], condition=Q(app__isnull=True), name="artifact_unique_for_all"
            ),
        ]
        indexes = [
            models.Index(
                fields=["created_at"],
                condition=Q(completed_at__isnull=True),
                name="artifact_incomplete",
            )
        ]

    def __str__(self) -> str:
        return self.name


class ArtifactPiece(models.Model):
    """Bytes of an artifact from a byte offset on; the pieces follow each other without a gap."""

    artifact = models.ForeignKey(Artifact, on_delete=models.CASCADE, related_name="pieces")
    start = models.BigIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["artifact", "start"], name="artifact_piece_unique")
        ]

    def __str__(self) -> str:
        return f"{self.artifact_id} from {self.start}"


class Credential(models.Model):
    """A connection's address or a secret, kept sealed and known to jobs by its name.

    ``worker_group`` None: for every group that has none of this name of its own.
    """

    name = models.CharField(max_length=64)
    kind = models.CharField(
        max_length=10, choices=[(kind.value, kind.value) for kind in CredentialKind]
    )
    worker_group = models.ForeignKey(
        "jobs.WorkerGroup", null=True, blank=True, on_delete=models.PROTECT
    )
    apps = models.ManyToManyField("jobs.App", blank=True, help_text="none chosen = every app")
    sealed = models.TextField(editable=False)
    updated_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "worker_group"], name="credential_unique"),
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(worker_group__isnull=True),
                name="credential_unique_for_all",
            ),
        ]

    def __str__(self) -> str:
        return self.name
