"""A session of SQLite: the one file of the connection, and no other."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from urllib.parse import quote, unquote, urlsplit

from tasks_app.executors.queries import Answer, BackendError, Misused, Rows
from tasks_app.rules.sqltext import Piece

_BUSY_SECONDS = 5.0


def connect(address: str, is_one: bool) -> SqliteSession:
    """Open the file of ``sqlite:////absolute/path``. A file that is not there is not made."""
    path = unquote(urlsplit(address).path)[1:]
    if not path.startswith("/"):
        text = "params.connection: an address of SQLite names a whole path: sqlite:////data/a.db"
        raise Misused("BAD_PARAMS", text)
    try:
        connection = sqlite3.connect(
            f"file:{quote(path)}?mode=rw",
            uri=True,
            timeout=_BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
        )
    except sqlite3.Error as error:
        raise BackendError(str(error)) from None
    return SqliteSession(connection, is_one)


class SqliteSession:
    def __init__(self, connection: sqlite3.Connection, is_one: bool) -> None:
        connection.set_authorizer(_allowed)
        self._connection = connection
        self._is_one = is_one
        if is_one:
            self._execute("BEGIN")

    def answers(self, piece: Piece) -> Iterator[Answer]:
        cursor = self._execute(piece.statement)
        if cursor.description is None:
            yield Answer(touched=cursor.rowcount if cursor.rowcount >= 0 else None)
        else:
            yield Answer([column[0] for column in cursor.description], _rows(cursor))
        cursor.close()

    def _execute(self, statement: str) -> sqlite3.Cursor:
        try:
            return self._connection.execute(statement)
        except (sqlite3.Error, sqlite3.Warning) as error:
            raise BackendError(str(error)) from None

    def notes(self) -> list[str]:
        return []

    def finish(self) -> None:
        if self._is_one:
            self._execute("COMMIT")

    def cancel(self) -> None:
        self._connection.interrupt()

    def close(self) -> None:
        self._connection.close()


def _rows(cursor: sqlite3.Cursor) -> Rows:
    try:
        yield from cursor
    except sqlite3.Error as error:
        raise BackendError(str(error)) from None


def _allowed(action: int, argument: str | None, *_: str | None) -> int:
    """Refuse to attach a file: a job would read and write whatever the worker can.

    VACUUM attaches an unnamed one, which is no file of anybody.
    """
    is_file = action == sqlite3.SQLITE_ATTACH and argument != ""
    return sqlite3.SQLITE_DENY if is_file else sqlite3.SQLITE_OK
