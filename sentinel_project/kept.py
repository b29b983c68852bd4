"""A value that costs something to make, kept for a while: anybody may ask, and it is made once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from sentinel_project import clock

T = TypeVar("T")


class Kept(Generic[T]):
    """Makes the value anew when it is older than ``seconds``, in one thread at a time.

    Who asks meanwhile gets the old one; only where there is none yet do they wait. What ``make``
    raises goes to whoever had it made, and is not kept.
    """

    def __init__(self, make: Callable[[], T], *, seconds: float) -> None:
        self._make = make
        self._seconds = seconds
        self._lock = threading.Lock()
        self._held: tuple[float, T] | None = None

    def value(self) -> T:
        if (held := self._held) is not None and self._is_fresh(held):
            return held[1]
        if not self._lock.acquire(blocking=held is None):
            assert held is not None
            return held[1]
        try:
            # Another thread may have made it while this one waited.
            if self._held is None or not self._is_fresh(self._held):
                self._held = (clock.monotonic(), self._make())
            return self._held[1]
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Have the next one made anew."""
        self._held = None

    def _is_fresh(self, held: tuple[float, T]) -> bool:
        return clock.monotonic() < held[0] + self._seconds
