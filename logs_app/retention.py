"""What of the log store may leave when it is old (X-33)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Sum

from logs_app.models import Chunk, Stream


def with_output() -> QuerySet[Stream, int]:
    """Return the ids of the attempts that still have something of what they printed."""
    return Stream.objects.filter(size__gt=0).values_list("attempt_id", flat=True)


def size_of(attempt_ids: Collection[int] | QuerySet[Any, int]) -> int:
    """Return how many bytes the attempts' streams hold together."""
    total = Stream.objects.filter(attempt_id__in=attempt_ids).aggregate(total=Sum("size"))["total"]
    return int(total or 0)


@transaction.atomic
def delete_of(attempt_ids: Collection[int]) -> int:
    """Delete all that the attempts printed, and return how many bytes that was (X-33)."""
    streams = Stream.objects.filter(attempt_id__in=attempt_ids)
    freed = sum(streams.values_list("size", flat=True))
    streams.delete()
    return freed


@transaction.atomic
def empty(attempt_ids: Collection[int]) -> int:
    """Delete what ended attempts printed, and return how many bytes that was.

    Their streams stay, closed and empty: whoever reads one is told that it has ended.
    """
    streams = Stream.objects.filter(attempt_id__in=attempt_ids, closed_at__isnull=False)
    freed = int(streams.aggregate(total=Sum("size"))["total"] or 0)
    Chunk.objects.filter(stream__in=streams).delete()
    streams.update(dropped=F("dropped") + F("size"), size=0)
    return freed
