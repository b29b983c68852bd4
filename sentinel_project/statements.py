"""Statements that a server keeps while they are in demand, and so need not plan anew each time.

PostgreSQL spends more on planning one of the engine's joins than on answering it. There a
statement that comes again within a moment is prepared, and executed by name for some seconds. Not
for ever: a plan that was right for ten rows is wrong for a hundred thousand. SQLite's driver keeps
statements by their text already.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any, Final

from sentinel_project import clock

#: Stands for a value that is given when the statement runs.
OPEN: Final = object()

#: Django's word for a pooler that gives each transaction another session.
_IS_POOLED = "DISABLE_SERVER_SIDE_CURSORS"
#: Used again within so many seconds, a statement is worth keeping ...
_HOT = 0.2
#: ... and its plan is believed for so many.
_PLAN_LASTS = 5.0
_PLACEHOLDER = re.compile(r"(?<!%)%s")
_numbers = itertools.count()


class Statement:
    """SQL with placeholders, of which some have their value for good.

    Those are spelled in its text: only then can a plan that is made ahead, or SQLite, tell that a
    partial index holds all that is asked for.
    """

    def __init__(self, sql: str, values: Sequence[object]) -> None:
        pieces = _PLACEHOLDER.split(sql)
        fixed = [None if value is OPEN else _spelled(value) for value in values]
        numbers = iter(range(1, len(values) + 1))
        self._text = _joined(pieces, [mark or "%s" for mark in fixed])
        kept = _joined(pieces, [mark or f"${next(numbers)}" for mark in fixed])
        self._kept_text = kept.replace("%%", "%")  # it is sent as it stands
        self._name = f"sentinel_{next(_numbers)}"
        marks = ", ".join("%s" for mark in fixed if mark is None)
        self._call = f"EXECUTE {self._name} ({marks})" if marks else f"EXECUTE {self._name}"

    def text_on(self, connection: Any) -> str:
        """Return what to execute on a Django connection, with a placeholder for each open value."""
        if connection.vendor != "postgresql" or connection.settings_dict.get(_IS_POOLED):
            return self._text
        session, now = _session_of(connection), clock.monotonic()
        used_at = session.used_at.get(self._name, -_HOT)
        session.used_at[self._name] = now
        if now - session.kept_at.get(self._name, now) > _PLAN_LASTS:
            _tell(connection, f"DEALLOCATE {self._name}")
            del session.kept_at[self._name]
        if self._name not in session.kept_at:
            if now - used_at >= _HOT:
                return self._text
            _tell(connection, f"PREPARE {self._name} AS {self._kept_text}")
            session.kept_at[self._name] = now
        return self._call


class _Session:
    """What a session of the server keeps, by the names of statements."""

    def __init__(self, raw: Any) -> None:
        self.raw = raw
        self.kept_at: dict[str, float] = {}
        self.used_at: dict[str, float] = {}


def _session_of(connection: Any) -> _Session:
    # As Django's cursor does it, which would replace a dead session only after we believed in it.
    connection.close_if_health_check_failed()
    connection.ensure_connection()
    session = getattr(connection, "sentinel_session", None)
    if session is None or session.raw is not connection.connection:
        session = connection.sentinel_session = _Session(connection.connection)
    return session


def _tell(connection: Any, command: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(command)


def _joined(pieces: list[str], marks: list[str]) -> str:
    return pieces[0] + "".join(mark + piece for mark, piece in zip(marks, pieces[1:], strict=True))


def _spelled(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''").replace("%", "%%") + "'"
    return str(value).upper() if isinstance(value, bool) else str(value)
