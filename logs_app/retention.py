"""What of the log store may leave when it is old (X-33)."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.db import transaction
from django.db.models import F, QuerySet, Sum

from logs_app.models import Chunk, Stream

#: Bytes that one transaction deletes of a stream: a second's work, where a statement has 30.
PIECE = 64 * 1024 * 1024


def with_output() -> QuerySet[Stream, int]:
    """Return the ids of the attempts that still have something of what they printed."""
    return Stream.objects.filter(size__gt=0).values_list("attempt_id", flat=True)


def size_of(attempt_ids: Collection[int] | QuerySet[Any, int]) -> int:
    """Return how many bytes the attempts' streams hold together."""
    total = Stream.objects.filter(attempt_id__in=attempt_ids).aggregate(total=Sum("size"))["total"]
    return int(total or 0)


def lighten(attempt_ids: Collection[int]) -> int:
    """Shorten what ended attempts printed until one transaction can delete the rest.

    Return how many bytes left. Piece by piece from the end, each in a transaction of its own: what
    is left of a stream is whole at any time.
    """
    streams = Stream.objects.filter(attempt_id__in=attempt_ids, closed_at__isnull=False, size__gt=0)
    sizes = dict(streams.order_by("-size").values_list("pk", "size"))
    left = before = sum(sizes.values())
    for stream_id, size in sizes.items():
        while left > PIECE and (taken := _shorten(stream_id, size)):
            size -= taken
            left -= taken
    return before - left


@transaction.atomic
def _shorten(stream_id: int, size: int) -> int:
    """Take up to a piece from the end of a stream of ``size`` bytes; 0: there is nothing of it."""
    chunks = Chunk.objects.filter(stream=stream_id).order_by("start").defer("data")
    first = chunks.filter(start__gte=size - PIECE).first() or chunks.last()
    if first is None:
        return 0
    taken = size - first.start
    rows = Stream.objects.filter(pk=stream_id, size=size)
    if not rows.update(size=first.start, dropped=F("dropped") + taken):
        return 0
    chunks.filter(start__gte=first.start).delete()
    return taken


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
