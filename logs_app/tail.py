"""Following a stream as it grows, as server-sent events (X-32).

A follower occupies a thread of the web process for as long as it follows, so there are places for
a few at once and no more; whoever finds none polls. ``id`` of an event is the byte offset after it,
so a client that lost its connection goes on where it was.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from django.db import connection

from logs_app.store import Slice
from sentinel_project import clock
from sentinel_project.errors import SentinelError
from sentinel_project.wire import jsontext

logger = logging.getLogger(__name__)

#: Characters of one event.
PIECE = 20_000
#: With the half second that a worker may keep what was printed, less than X-32's second.
_POLL = 0.25
#: A comment now and then finds out that nobody listens any more.
_HEARTBEAT = 5.0
#: Then the client connects anew, and somebody else may have the place.
_LONGEST = 30 * 60.0


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)


class Places:
    """So many may follow at once in this process."""

    def __init__(self, most: int) -> None:
        self._free = threading.Semaphore(most)

    def take(self) -> bool:
        return self._free.acquire(blocking=False)

    def leave(self) -> None:
        self._free.release()


class Tail:
    """The body of an answer. It holds a place, which ``close`` gives back.

    The web server closes a body whatever became of it; a generator that was never begun would
    not notice.
    """

    def __init__(
        self,
        read: Callable[[int], Slice],
        *,
        offset: int,
        places: Places,
        monotonic: Callable[[], float] = clock.monotonic,
        pause: Callable[[float], object] = _sleep,
    ) -> None:
        self._read = read
        self._offset = offset
        self._places = places
        self._monotonic = monotonic
        self._pause = pause
        self._is_closed = False
        self._events = self._follow()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return next(self._events)

    def close(self) -> None:
        if not self._is_closed:
            self._is_closed = True
            self._places.leave()

    def _follow(self) -> Iterator[bytes]:
        began = sent = self._monotonic()
        yield b"retry: 2000\n\n"
        while self._monotonic() < began + _LONGEST:
            try:
                piece = self._read(self._offset)
            except SentinelError as refusal:
                yield _event("refused", self._offset, {"msg": str(refusal)})
                return
            except Exception:
                # The web server would log the whole address, in which a token may be.
                logger.exception("tail.broken")
                connection.close()
                return
            if piece.text:
                self._offset = piece.offset
                yield _event("", piece.offset, {"log": piece.text})
            if piece.is_end:
                yield _event("end", piece.offset, {"offset": piece.offset})
                return
            if piece.text:
                sent = self._monotonic()
                continue
            if self._monotonic() >= sent + _HEARTBEAT:
                sent = self._monotonic()
                yield b": still here\n\n"
            self._pause(_POLL)


def _event(name: str, offset: int, data: dict[str, object]) -> bytes:
    """Return one event; JSON keeps the line ends of ``data`` from being taken for its own."""
    kind = f"event: {name}\n" if name else ""
    return f"{kind}id: {offset}\ndata: {jsontext.dumps(data)}\n\n".encode()
