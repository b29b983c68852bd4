"""Statements that a server keeps: parsed once a session, and planned once for all values.

PostgreSQL spends more on planning one of the engine's joins than on answering it. There a
statement is prepared at its first use in a session and executed by name from then on. SQLite's
driver keeps statements by their text already.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from typing import Any, Final, cast

#: Stands for a value that is given when the statement runs.
OPEN: Final = object()

#: Django's word for a pooler that gives each transaction another session.
_IS_POOLED = "DISABLE_SERVER_SIDE_CURSORS"
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
        kept = _kept_by(connection)
        if self._name not in kept:
            with connection.cursor() as cursor:
                cursor.execute(f"PREPARE {self._name} AS {self._kept_text}")
            kept.add(self._name)
        return self._call


def _kept_by(connection: Any) -> set[str]:
    """Return the names of the statements that the session of ``connection`` keeps."""
    connection.ensure_connection()
    session, kept = getattr(connection, "sentinel_statements", (None, set()))
    if session is not connection.connection:
        session, kept = connection.connection, set()
        connection.sentinel_statements = (session, kept)
    return cast(set[str], kept)


def _joined(pieces: list[str], marks: list[str]) -> str:
    return pieces[0] + "".join(mark + piece for mark, piece in zip(marks, pieces[1:], strict=True))


def _spelled(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("'", "''").replace("%", "%%") + "'"
    return str(value).upper() if isinstance(value, bool) else str(value)
