"""What attempts printed: two streams per attempt, each a row of chunks (X-30)."""

from __future__ import annotations

from django.db import models


class StreamKind(models.IntegerChoices):
    """RESULT is the attempt's stdout, LOG its stderr and the system's own lines (W-20)."""

    RESULT = 1
    LOG = 2


class Stream(models.Model):
    """One stream of one attempt, and how far it has been written.

    ``attempt_id`` is a plain number: the log store knows nothing of what is around it.
    """

    attempt_id = models.BigIntegerField()
    kind = models.PositiveSmallIntegerField(choices=StreamKind.choices)
    fence = models.BigIntegerField()
    size = models.BigIntegerField(default=0)
    dropped = models.BigIntegerField(default=0)
    closed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["attempt_id", "kind"], name="log_stream_of_attempt"),
            models.CheckConstraint(
                condition=models.Q(size__gte=0, dropped__gte=0), name="log_stream_counts"
            ),
        ]
        indexes = [
            models.Index(
                fields=["attempt_id"], condition=models.Q(size__gt=0), name="log_stream_kept"
            ),
        ]

    def __str__(self) -> str:
        return f"{StreamKind(self.kind).label} of attempt {self.attempt_id}"


class Chunk(models.Model):
    """The bytes of a stream from ``start`` up to the next chunk, or to the stream's size."""

    # The unique constraint begins with the stream, so an index of its own would be a second copy.
    stream = models.ForeignKey(
        Stream, on_delete=models.CASCADE, related_name="chunks", db_index=False
    )
    start = models.BigIntegerField()
    data = models.BinaryField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["stream", "start"], name="log_chunk_of_stream"),
        ]

    def __str__(self) -> str:
        return f"chunk at {self.start} of stream {self.stream_id}"
