"""A turn: for how long a slot of a worker goes on by itself once a bell has woken it (ADR 0050)."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass
from datetime import timedelta

from sentinel_project import clock
from sentinel_project.clock import Clock
from tasks_app.models import Attempt
from tasks_app.rules.timing import Lease

#: Set once this process is to end: nothing new is begun.
leaving = threading.Event()


@dataclass(frozen=True, slots=True)
class Turn:
    """The group whose tasks a slot takes by itself, and the monotonic instant until which."""

    group_id: int
    ends_at: float = -math.inf

    def lasts(self) -> bool:
        return clock.monotonic() < self.ends_at and not leaving.is_set()


@dataclass(frozen=True, slots=True)
class Slot:
    """Who runs attempts, one after the other. ``turn`` None: only what its bell was for."""

    worker: str
    clock: Clock
    lease: Lease
    turn: Turn | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """An attempt that is ours; ``asked_at``: a monotonic instant before its lease began."""

    attempt: Attempt
    asked_at: float


@dataclass(frozen=True, slots=True)
class Finished:
    """What came of a bell, or of looking for more to do.

    ``task_id`` None: nothing ran. ``retry_in`` is set when the task waits for its next try (X-6).
    ``is_awaited``: its end may let something else go. ``follower``: what was claimed with the end.
    ``is_last``: it was looked for, and nothing is to be had just now.
    """

    task_id: int | None = None
    retry_in: timedelta | None = None
    max_retries: int = 0
    is_awaited: bool = False
    follower: Claimed | None = None
    is_last: bool = False
