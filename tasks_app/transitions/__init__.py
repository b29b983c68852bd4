"""The only writer of task and attempt statuses (X-1).

Each function is one verb of 3-execution.md 4 and one guarded write: it names the statuses it
moves from, and a False (or None) is a normal answer, somebody else was first. Every commit that
may let another task go leaves an event (X-8). Callers hold no locks unless they want order.
"""

from __future__ import annotations

from tasks_app.transitions.attempts import (
    MAX_FREE_REQUEUES,
    claim,
    hand_back,
    keep_rendered,
    rescue,
    settle,
    start,
)
from tasks_app.transitions.opening import (
    expire,
    leave_event,
    open_task,
    open_tasks,
    release,
    ring,
    stop_expiry,
    unring,
    wait,
    wait_together,
)
from tasks_app.transitions.values import Ending, Opening
from tasks_app.transitions.verbs import force, kill, remove, retry

__all__ = [
    "MAX_FREE_REQUEUES",
    "Ending",
    "Opening",
    "claim",
    "expire",
    "force",
    "hand_back",
    "keep_rendered",
    "kill",
    "leave_event",
    "open_task",
    "open_tasks",
    "release",
    "remove",
    "rescue",
    "retry",
    "ring",
    "settle",
    "start",
    "stop_expiry",
    "unring",
    "wait",
    "wait_together",
]
