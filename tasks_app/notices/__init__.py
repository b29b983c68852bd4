"""Telling others what became of a task: the outbox's passes, outside the engine's path (D-84).

A commit that changes a status leaves a ``Change``; ``expanding`` makes a ``Delivery`` for each
receiver of it; ``deadlines`` and ``unopened`` make those that no change raises, ``system`` those
for operators; ``delivering`` sends them.
"""

from __future__ import annotations

from sentinel_project.clock import Clock
from tasks_app.notices.deadlines import watch_deadlines
from tasks_app.notices.delivering import deliver_due
from tasks_app.notices.expanding import expand_changes
from tasks_app.notices.system import tell, watch_system
from tasks_app.notices.unopened import watch_unopened

__all__ = [
    "deliver_due",
    "expand_changes",
    "run_once",
    "tell",
    "watch_deadlines",
    "watch_system",
    "watch_unopened",
]


def run_once(clock: Clock) -> int:
    """Run the three passes; return how many deliveries were tried."""
    expand_changes(now=clock())
    watch_deadlines(now=clock())
    return deliver_due(clock)
