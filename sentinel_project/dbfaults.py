"""What a database error means: the database is lost, or it refused one statement and goes on."""

from __future__ import annotations

from django.db import InterfaceError, OperationalError

#: query_canceled, deadlock_detected, serialization_failure
_CANCELLED = frozenset({"57014", "40P01", "40001"})
_LOCK_NOT_AVAILABLE = "55P03"
_SQLITE_BUSY, _SQLITE_LOCKED = 5, 6


def is_lost(error: Exception) -> bool:
    """Tell whether the connection is of no use any more, so that others would fail as well."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, OperationalError):
        return False
    return not (is_locked(error) or _code(error) in _CANCELLED)


def is_locked(error: Exception) -> bool:
    """Tell whether somebody else held a lock for longer than we waited."""
    # The lower byte says what it is, the rest which kind of it.
    number = getattr(error.__cause__, "sqlite_errorcode", 0) & 0xFF
    return _code(error) == _LOCK_NOT_AVAILABLE or number in {_SQLITE_BUSY, _SQLITE_LOCKED}


def _code(error: Exception) -> str:
    """Return the SQLSTATE that the server gave; empty: it gave none."""
    return getattr(error.__cause__, "pgcode", None) or ""
