"""The only door to what attempts printed: append, read, count, delete (X-30, X-31).

Offsets are bytes. A stream grows by compare-and-set on its fence and size, so of two writers only
the one whom the attempt belongs to gets through, and a chunk sent twice is stored once.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from logs_app import text
from logs_app.buffer import Buffer
from logs_app.models import Chunk, Stream, StreamKind
from sentinel_project import clock, prepared
from sentinel_project.chained import Insert
from sentinel_project.errors import InvalidParameters, NotFound, Refused

CHUNK = 64 * 1024
CAP = 64 * 1024 * 1024
WHOLE = 1024 * 1024

# Half of X-32's second; the pace of whoever calls ``flush_due`` may take the other half.
_FLUSH_AFTER = 0.5
# One append, and the appends of one flush: enough for a burst, short enough for a kill to come by.
_BATCH = 16 * CHUNK
_BATCHES = 4


class Fenced(Exception):
    """The stream belongs to another writer by now, or is closed (X-3)."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Characters of a stream, the byte offset after them, and whether nothing will follow."""

    text: str
    offset: int
    is_end: bool


@dataclass(frozen=True, slots=True)
class _Extent:
    """How far a stream reached at one moment (X-31)."""

    stream_id: int
    size: int
    is_closed: bool


@transaction.atomic
def append(attempt_id: int, kind: StreamKind, *, fence: int, start: int, data: bytes) -> bool:
    """Put ``data`` at the end, which the caller says is ``start``.

    True too if the very bytes are there already, so what may or may not have been committed can
    be sent again. False: the fence is stale, the stream is closed, or ``start`` is not its end.
    """
    row = Stream(attempt_id=attempt_id, kind=kind, fence=fence, size=len(data))
    if start or not prepared.insert_if_new(row):
        stream = Stream.objects.filter(attempt_id=attempt_id, kind=kind)
        current = stream.filter(fence=fence, closed_at=None)
        if not current.filter(size=start).update(size=start + len(data)):
            return _holds(current, start=start, data=data)
        row = stream.get()
    # Small pieces, so that no read has to fetch more than it was asked for.
    Chunk.objects.bulk_create(
        Chunk(stream=row, start=start + at, data=data[at : at + CHUNK])
        for at in range(0, len(data), CHUNK)
    )
    return True


def _holds(streams: QuerySet[Stream], *, start: int, data: bytes) -> bool:
    """Tell whether the one stream left in ``streams`` has ``data`` at ``start``."""
    end = start + len(data)
    stream_id = streams.filter(size__gte=end).values_list("pk", flat=True).first()
    return stream_id is not None and _bytes_of(stream_id, start, end) == data


def closing(attempt_id: int, *, fence: int, now: datetime) -> Insert:
    """Return the step that says of both streams that nothing will follow, whoever writes.

    What was never printed to is made closed, so that nobody can begin it.
    """
    words = {"attempt_id": attempt_id, "fence": fence, "closed_at": now}
    return Insert(*(Stream(kind=kind, **words) for kind in StreamKind), conflict=_CLOSED)


#: A stream that was closed before stays as it is.
_CLOSED = """(attempt_id, kind) DO UPDATE
    SET closed_at = COALESCE(logs_app_stream.closed_at, EXCLUDED.closed_at)"""


def read(attempt_id: int, kind: StreamKind, *, offset: int, size: int) -> Slice:
    """Return up to ``size`` characters from byte ``offset`` (W-20).

    An attempt that runs and has printed nothing yet has an empty stream, and more may come.
    """
    problems = []
    if offset < 0:
        problems.append(f"offset must be 0 or more, not {offset}")
    if size < 1:
        problems.append(f"size must be 1 or more, not {size}")
    if problems:
        raise InvalidParameters.of(problems)
    extent = _extent_of(attempt_id, kind)
    if offset > extent.size:
        raise InvalidParameters(
            f"offset must be at most the stream's size, {extent.size} bytes, not {offset}"
        )
    return _slice_of(extent, offset=offset, size=size)


def read_all(attempt_id: int, kind: StreamKind, *, limit: int = WHOLE) -> Slice:
    """Return everything so far; refused if that is more than ``limit`` bytes."""
    extent = _extent_of(attempt_id, kind)
    if extent.size > limit:
        piecewise = "readResult" if kind is StreamKind.RESULT else "readExecuteLog"
        raise Refused(
            f"it has {extent.size} bytes, more than the {limit} of one reply; "
            f"read it in pieces with /api/log/{piecewise}"
        )
    return _slice_of(extent, offset=0, size=limit)


def pieces_of_log(attempt_id: int) -> Iterator[bytes]:
    """Yield all of LOG so far in order, little of it at a time."""
    chunks = Chunk.objects.filter(stream__attempt_id=attempt_id, stream__kind=StreamKind.LOG)
    return map(bytes, chunks.order_by("start").values_list("data", flat=True).iterator(16))


def _extent_of(attempt_id: int, kind: StreamKind) -> _Extent:
    """Read size and end in one statement, and before the bytes: both only ever grow (X-31).

    A stream is made for its first bytes, or at its end.
    """
    for stream_id, size, closed_at in _extent(attempt_id, int(kind)):
        return _Extent(stream_id, size, is_closed=closed_at is not None)
    return _Extent(0, 0, is_closed=False)


@prepared.select
def _extent(attempt_id: int, kind: int) -> QuerySet[Stream, tuple[int, int, datetime | None]]:
    rows = Stream.objects.filter(attempt_id=attempt_id, kind=kind)
    return rows.values_list("pk", "size", "closed_at")


def _slice_of(extent: _Extent, *, offset: int, size: int) -> Slice:
    begin, end = text.span(offset, size=size, end=extent.size)
    data = _bytes_of(extent.stream_id, begin, end)
    if len(data) < end - begin:
        raise NotFound("what the attempt printed has just been removed")
    piece = text.cut(data, begin=begin, offset=offset, size=size, is_closed=extent.is_closed)
    return Slice(piece.text, piece.offset, extent.is_closed and piece.offset == extent.size)


def _bytes_of(stream_id: int, begin: int, end: int) -> bytes:
    """Return the bytes from ``begin`` up to ``end``, by two steps into one index."""
    rows = _chunks(stream_id, begin, end)
    if not rows:
        return b""
    skip = begin - rows[0][0]
    # PostgreSQL answers with memoryviews, SQLite with bytes; join takes both.
    return b"".join(data for _, data in rows)[skip : skip + end - begin]


@prepared.select
def _chunks(
    stream_id: int, begin: int, end: int
) -> QuerySet[Chunk, tuple[int, bytes | memoryview]]:
    chunks = Chunk.objects.filter(stream_id=stream_id)
    first = chunks.filter(start__lte=begin).order_by("-start").values("start")[:1]
    found = chunks.filter(start__gte=first, start__lt=end)
    return found.order_by("start").values_list("start", "data")


def sizes(attempt_ids: Collection[int]) -> dict[tuple[int, StreamKind], int]:
    """Return how many bytes each stream of the attempts holds."""
    rows = Stream.objects.filter(attempt_id__in=attempt_ids)
    return {
        (attempt_id, StreamKind(kind)): size
        for attempt_id, kind, size in rows.values_list("attempt_id", "kind", "size")
    }


class Writer:
    """Both streams of one attempt, on their way into the store (X-30).

    Any thread may print. One calls ``flush_due`` at least twice a second; one calls ``finish``, in
    the transaction that settles the attempt, and waits for no flush: from then on a flush leaves
    the buffers alone, so what both send is the same. Only they meet the database and its errors;
    after an error they call again, and nothing is lost or doubled.
    """

    def __init__(
        self,
        attempt_id: int,
        *,
        fence: int,
        cap: int = CAP,
        monotonic: Callable[[], float] = clock.monotonic,
    ) -> None:
        self._attempt_id = attempt_id
        self._fence = fence
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._buffers = {kind: Buffer(cap) for kind in StreamKind}
        self._waiting_since: float | None = None
        self._is_sealed = False
        self._is_fenced = False

    def result(self, data: bytes) -> None:
        """Take what the attempt wrote to stdout."""
        self._add(StreamKind.RESULT, data)

    def log(self, data: bytes) -> None:
        """Take what the attempt wrote to stderr, or a line of the system's own."""
        self._add(StreamKind.LOG, data)

    def _add(self, kind: StreamKind, data: bytes) -> None:
        with self._lock:
            if self._is_sealed:
                return
            self._buffers[kind].add(data)
            if self._waiting_since is None:
                self._waiting_since = self._monotonic()

    def flush_due(self) -> None:
        """Write if a chunk is full, or if anything has waited for half a second."""
        with self._lock:
            since = self._waiting_since
            is_full = any(len(buffer) >= CHUNK for buffer in self._buffers.values())
        if is_full or (since is not None and self._monotonic() >= since + _FLUSH_AFTER):
            self.flush()

    def flush(self) -> None:
        """Write what has been printed; of a flood the first part, so that it cannot hold us up."""
        self._refuse_if_fenced()
        for kind in StreamKind:
            for _ in range(_BATCHES):
                if not self._flush_batch(kind):
                    break
        with self._lock:
            is_left = any(len(buffer) for buffer in self._buffers.values())
            self._waiting_since = self._monotonic() if is_left else None

    def finish(self) -> None:
        """Write all that is left, and of a stream that was cut its last bytes.

        It takes nothing out of the buffers: if the transaction is rolled back, call it again.
        """
        self._refuse_if_fenced()
        with self._lock:
            self._is_sealed = True
        for kind, buffer in self._buffers.items():
            for start, data in buffer.rest(_BATCH):
                self._refuse_if_fenced(not self._append(kind, start, data))
            if buffer.dropped:
                Stream.objects.filter(
                    attempt_id=self._attempt_id, kind=kind, fence=self._fence, closed_at=None
                ).update(dropped=buffer.dropped)

    def close(self) -> None:
        """Let go of what is buffered; what is printed from now on is nobody's."""
        with self._lock:
            self._is_sealed = True
            for buffer in self._buffers.values():
                buffer.close()

    def _flush_batch(self, kind: StreamKind) -> bool:
        """Write the first bytes; False: there are none, or they are the end's to write."""
        buffer = self._buffers[kind]
        with self._lock:
            data = b"" if self._is_sealed else buffer.offer(_BATCH)
            start = buffer.start
        is_stored = bool(data) and self._append(kind, start, data)
        with self._lock:
            if self._is_sealed or not data:
                return False  # refused or not: the end finds out by itself whether it is ours
            if is_stored:
                buffer.forget()
        self._refuse_if_fenced(not is_stored)
        return True

    def _append(self, kind: StreamKind, start: int, data: bytes) -> bool:
        return append(self._attempt_id, kind, fence=self._fence, start=start, data=data)

    def _refuse_if_fenced(self, is_fenced: bool = False) -> None:
        if is_fenced:
            self._is_fenced = True
            self.close()
        if self._is_fenced:
            raise Fenced(f"attempt {self._attempt_id} is not ours any more")
