"""One clock for an installation: the database server's, where there is a server (ADR 0143).

Hosts whose clocks differ, or jump, would write instants that others read an hour too early or too
late: a retry that waits, a bell that is not repeated.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import connection

from sentinel_project import clock

_EVERY = timedelta(seconds=5)
#: Of an answer that took longer nobody knows when it was right.
_LONGEST_ROUND_TRIP = 1.0
#: So far apart two clocks may be and still agree.
APART = timedelta(minutes=1)


def agree() -> None:
    """Have this process go by the database's clock, unless it has just made sure that it does."""
    agreed_for = clock.agreed_for()
    if agreed_for is not None and agreed_for < _EVERY.total_seconds():
        return
    asked_at = clock.since_boot()
    theirs = _theirs()
    answered_at = clock.since_boot()
    if theirs is not None and answered_at - asked_at < _LONGEST_ROUND_TRIP:
        clock.agree(theirs, at=(asked_at + answered_at) / 2)


def is_backed_by_host() -> bool:
    """Tell whether the host's own clock, which is another one, has the time of the database's."""
    theirs = _theirs()
    return theirs is not None and abs(theirs - clock.wall()) < APART


def _theirs() -> datetime | None:
    """Return the time of the database server; None: it is a file, with no clock of its own."""
    if connection.vendor != "postgresql":
        return None
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        (theirs,) = cursor.fetchone()
    assert isinstance(theirs, datetime)
    return theirs
