"""A session of PostgreSQL by psycopg2: rows come through a cursor of the server, few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
from psycopg2 import extensions

from tasks_app.executors.queries import Answer, BackendError, Rows
from tasks_app.rules.sqltext import Piece

_CONNECT_SECONDS = 10
_AT_ONCE = 200
#: What the server writes is exact; Python's own times know neither infinity nor the year 20000.
_TIMES = extensions.new_type((1082, 1083, 1114, 1184, 1186, 1266), "TIMES", lambda text, _: text)


def connect(address: str, is_one: bool) -> PostgresSession:
    """Open a session. ``is_one``: all statements are one transaction."""
    try:
        connection = psycopg2.connect(
            address, connect_timeout=_CONNECT_SECONDS, fallback_application_name="sentinel"
        )
        session = PostgresSession(connection, is_one)
    except psycopg2.Error as error:
        raise BackendError(str(error)) from None
    return session


class PostgresSession:
    def __init__(self, connection: Any, is_one: bool) -> None:
        connection.autocommit = True  # transactions are begun in words, here or by the job
        connection.set_client_encoding("UTF8")
        extensions.register_type(_TIMES, connection)
        self._connection = connection
        self._is_one = is_one
        if is_one:
            self._execute("BEGIN")

    def answers(self, piece: Piece) -> Iterator[Answer]:
        """A cursor of the server can be declared for a query that changes nothing."""
        yield self._streamed(piece.statement) if piece.only_reads else self._plain(piece.statement)

    def _plain(self, statement: str) -> Answer:
        cursor = self._execute(statement)
        if cursor.description is None:
            return Answer(touched=cursor.rowcount if cursor.rowcount >= 0 else None)
        return Answer(_columns(cursor), (row for row in cursor))

    def _streamed(self, statement: str) -> Answer:
        is_own = self._connection.info.transaction_status == extensions.TRANSACTION_STATUS_IDLE
        if is_own:
            self._execute("BEGIN")
        self._execute(f"DECLARE sentinel_rows NO SCROLL CURSOR FOR {statement}")
        first = self._execute(f"FETCH {_AT_ONCE} FROM sentinel_rows")
        return Answer(_columns(first), self._fetched(first, is_own=is_own))

    def _fetched(self, cursor: Any, *, is_own: bool) -> Rows:
        """Yield the rows; when the cursor is closed, early or not, its transaction ends too."""
        try:
            while rows := _fetched(cursor):
                yield from rows
                cursor = self._execute(f"FETCH {_AT_ONCE} FROM sentinel_rows")
        finally:
            if not self._connection.closed and not self._is_failed():
                self._execute("COMMIT" if is_own else "CLOSE sentinel_rows")

    def _is_failed(self) -> bool:
        status: int = self._connection.info.transaction_status
        return status != extensions.TRANSACTION_STATUS_INTRANS

    def _execute(self, statement: str) -> Any:
        cursor = self._connection.cursor()
        try:
            cursor.execute(statement)
        except psycopg2.Error as error:
            raise BackendError(str(error).strip()) from None
        return cursor

    def notes(self) -> list[str]:
        """Return what the server said meanwhile, such as RAISE NOTICE."""
        found = [notice.strip() for notice in self._connection.notices]
        del self._connection.notices[:]
        return found

    def finish(self) -> None:
        if self._is_one:
            self._execute("COMMIT")

    def cancel(self) -> None:
        """Ask the server, by a connection of its own, to end the statement."""
        self._connection.cancel()

    def close(self) -> None:
        self._connection.close()


def _fetched(cursor: Any) -> list[Any]:
    try:
        rows: list[Any] = cursor.fetchall()
    except psycopg2.Error as error:
        raise BackendError(str(error).strip()) from None
    return rows


def _columns(cursor: Any) -> list[str]:
    return [column.name for column in cursor.description]
