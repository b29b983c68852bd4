"""What a stream printed and the store does not have yet, in bounded memory (X-30).

A pipe is always drained, so adding never waits and never fails: what outgrows the memory goes to a
temporary file, and what outgrows the cap, or the disk, keeps only its last bytes and a count.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from io import FileIO

logger = logging.getLogger(__name__)

MEMORY = 1024 * 1024
TAIL = 64 * 1024


class Buffer:
    """The bytes of one stream, first in first out, up to ``cap``; then the last of them.

    ``start`` is the offset in the stream of the first byte, ``dropped`` counts what was cut out.
    """

    def __init__(self, cap: int, *, memory: int = MEMORY) -> None:
        self._room = cap
        self._memory_limit = memory
        self._memory = bytearray()
        self._spill: FileIO | None = None
        self._spill_start = 0
        self._spill_end = 0
        self._tail = bytearray()
        self._offered = 0
        self.start = 0
        self.dropped = 0

    def __len__(self) -> int:
        """Return how many bytes can be offered; the tail is not among them."""
        return len(self._memory) + self._spill_end - self._spill_start

    def add(self, data: bytes) -> None:
        """Keep ``data``, or as much of it as there is room for."""
        kept = self._keep(data[: self._room])
        self._room -= kept
        if kept < len(data):
            # Past the first gap nothing may go in front of it.
            self._room = 0
            self._keep_last(data[kept:])

    def offer(self, limit: int) -> bytes:
        """Return the first bytes, and the very same ones until they are forgotten.

        Whether they reached the store may be unknown; only as they were can they be sent again.
        """
        data = self._peek(0, self._offered or limit)
        self._offered = len(data)
        return data

    def forget(self) -> None:
        """Drop what was offered: the store has it."""
        from_memory = min(self._offered, len(self._memory))
        del self._memory[:from_memory]
        self._spill_start += self._offered - from_memory
        self.start += self._offered
        self._offered = 0
        if self._spill is not None and self._spill_start == self._spill_end:
            self._spill.truncate(0)
            self._spill_start = self._spill_end = 0

    def rest(self, limit: int) -> Iterator[tuple[int, bytes]]:
        """Yield all that is left with its offsets, the last bytes too, and forget nothing."""
        skip, size = 0, self._offered or limit
        while data := self._peek(skip, size):
            yield self.start + skip, data
            skip, size = skip + len(data), limit
        if self.dropped:
            yield self.start + skip, b"\n[%d bytes dropped]\n" % self.dropped + self._tail
        elif self._tail:
            yield self.start + skip, bytes(self._tail)

    def close(self) -> None:
        """Forget everything, and give the temporary file back."""
        self._room = 0
        self._memory.clear()
        self._tail.clear()
        self._offered = self.dropped = self._spill_start = self._spill_end = 0
        if self._spill is not None:
            self._spill.close()
            self._spill = None

    def _peek(self, skip: int, limit: int) -> bytes:
        """Return up to ``limit`` bytes after the first ``skip``, and none only at the end."""
        if skip < len(self._memory):
            return bytes(self._memory[skip : skip + limit])
        start = self._spill_start + skip - len(self._memory)
        if self._spill is None or start >= self._spill_end:
            return b""
        return os.pread(self._spill.fileno(), min(limit, self._spill_end - start), start)

    def _keep(self, data: bytes) -> int:
        """Put ``data`` last and return how much of it there was room for."""
        if self._spill_end == 0 and len(self._memory) + len(data) <= self._memory_limit:
            self._memory += data
            return len(data)
        start = self._spill_end
        try:
            self._write(data)
        except OSError:
            logger.warning("log.spill_failed", exc_info=True)
        return self._spill_end - start

    def _write(self, data: bytes) -> None:
        """Write to the temporary file, and count what reached it even if the disk fills up."""
        if self._spill is None:
            self._spill = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by close()
        rest = memoryview(data)
        while rest:
            written = os.pwrite(self._spill.fileno(), rest, self._spill_end)
            self._spill_end += written
            rest = rest[written:]

    def _keep_last(self, data: bytes) -> None:
        self._tail += data
        excess = max(0, len(self._tail) - TAIL)
        del self._tail[:excess]
        self.dropped += excess
