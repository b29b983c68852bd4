"""One clock for an installation: the database server's, where there is a server (ADR 0143).

Hosts whose clocks differ, or jump, would write instants that others read an hour too early or too
late: a retry that waits, a bell that is not repeated.
"""

from __future__ import annotations

import logging
import os
import threading
from datetime import datetime, timedelta

from django.db import DatabaseError, connection

from sentinel_project import clock

logger = logging.getLogger(__name__)

_EVERY = 5.0
#: Of an answer that took longer nobody knows when it was right; any is better than none.
_LONGEST_ROUND_TRIP = 1.0
#: So far apart two clocks may be and still agree.
APART = timedelta(minutes=1)
#: One of a process's threads asks for all of them.
_asking = threading.Lock()


def agree() -> None:
    """Have this process go by the database's clock, unless it has just made sure that it does."""
    agreed_for = clock.agreed_for()
    is_first = agreed_for is None
    is_fresh = agreed_for is not None and agreed_for < _EVERY
    if connection.vendor != "postgresql" or is_fresh or not _asking.acquire(blocking=is_first):
        return
    try:
        _ask(is_first=is_first)
    finally:
        _asking.release()


def _ask(*, is_first: bool) -> None:
    asked_at = clock.since_boot()
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (theirs,) = cursor.fetchone()
    took = clock.since_boot() - asked_at
    if is_first or took < _LONGEST_ROUND_TRIP:
        clock.agree(theirs, at=asked_at + took / 2, within=took / 2)


def keep_agreeing() -> None:
    """Agree for a thread whose work is worth more than the time of day: a failure is logged."""
    try:
        agree()
    except DatabaseError:
        logger.warning("clock.not_asked", exc_info=True)


def is_backed_by_host(now: datetime) -> bool:
    """Tell whether the host's own clock has the time ``now`` of a database server.

    A file has no clock of its own, so there the host's is no second one.
    """
    return connection.vendor == "postgresql" and abs(clock.wall() - now) < APART


def _be_alone() -> None:
    """In a child the thread that asks is not there."""
    global _asking
    _asking = threading.Lock()


os.register_at_fork(after_in_child=_be_alone)
