"""How a commit in one process ends the sleep of beat in another.

A wake-up changes when beat looks, never what it finds: a lost one costs at most its longest sleep.
"""

from __future__ import annotations

import logging
import select
import threading
from datetime import datetime, timedelta

from django.db import DatabaseError, connection
from django.db.backends.base.base import BaseDatabaseWrapper

from sentinel_project import clock

logger = logging.getLogger(__name__)

#: Beat looks at least so often, whether it is woken or not.
LONGEST_SLEEP = timedelta(seconds=1)
CHANNEL = "sentinel"
#: How often SQLite's commit counter is looked at, in seconds.
_POLL = 0.015


def signal() -> None:
    """Wake beat once the current transaction has committed.

    On SQLite there is nothing to do: every commit moves the counter that beat watches.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"NOTIFY {CHANNEL}")


def signal_of(due_at: datetime | None, *, now: datetime) -> None:
    """Wake beat as ``signal`` does if something is due before it will have looked by itself."""
    if due_at is not None and due_at <= now + LONGEST_SLEEP:
        signal()


class Listener:
    """Waits for a commit that signalled, on a connection of its own.

    ``mark`` goes before the work and ``wait`` after it, so that nothing committed meanwhile is
    slept over.
    """

    def __init__(self) -> None:
        self._wrapper: BaseDatabaseWrapper | None = None
        self._version = 0

    def mark(self) -> None:
        """Count from here: what commits from now on ends the next ``wait``."""
        try:
            if self._wrapper is None:
                self._wrapper = self._open()
            if self._wrapper.vendor == "sqlite":
                self._version = self._data_version(self._wrapper)
        except DatabaseError:
            logger.warning("wakeup.lost", exc_info=True)
            self.close()

    def wait(self, timeout: float) -> bool:
        """Sleep at most ``timeout`` seconds; tell whether a commit ended the sleep."""
        wrapper = self._wrapper
        if wrapper is None:
            _sleep(timeout)
            return False
        try:
            if wrapper.vendor == "postgresql":
                return self._wait_for_notice(wrapper, timeout)
            return self._wait_for_commit(wrapper, timeout)
        except (DatabaseError, OSError):
            logger.warning("wakeup.lost", exc_info=True)
            self.close()
            _sleep(timeout)
            return False

    def close(self) -> None:
        """Drop the connection; the next ``mark`` opens another."""
        if self._wrapper is not None:
            self._wrapper.close()
            self._wrapper = None

    def _open(self) -> BaseDatabaseWrapper:
        wrapper: BaseDatabaseWrapper = connection.copy()
        if wrapper.vendor == "postgresql":
            with wrapper.cursor() as cursor:
                cursor.execute(f"LISTEN {CHANNEL}")
        return wrapper

    def _wait_for_notice(self, wrapper: BaseDatabaseWrapper, timeout: float) -> bool:
        raw = wrapper.connection
        readable, _, _ = select.select([raw], [], [], timeout)
        if not readable:
            return False
        with wrapper.wrap_database_errors:  # this one call is the driver's own
            raw.poll()
        has_notice = bool(raw.notifies)
        raw.notifies.clear()
        return has_notice

    def _wait_for_commit(self, wrapper: BaseDatabaseWrapper, timeout: float) -> bool:
        deadline = clock.monotonic() + timeout
        while (left := deadline - clock.monotonic()) > 0:
            _sleep(min(_POLL, left))
            if self._data_version(wrapper) != self._version:
                return True
        return False

    def _data_version(self, wrapper: BaseDatabaseWrapper) -> int:
        """Return a number that changes whenever another connection commits."""
        with wrapper.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            return int(cursor.fetchone()[0])


def _sleep(seconds: float) -> None:
    threading.Event().wait(seconds)
