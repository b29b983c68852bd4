"""A session of MySQL or MariaDB by PyMySQL, unbuffered: rows come as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tasks_app.executors.queries import Answer, BackendError, Misused, Rows
from tasks_app.rules.sqltext import Piece

_CONNECT_SECONDS = 10
#: TIMESTAMP, DATE, TIME, DATETIME: what the server writes is exact, also for 0000-00-00.
_TIMES = {7, 10, 11, 12}
_OPTIONS = {"unix_socket", "ssl_ca", "ssl_cert", "ssl_key", "charset"}


def connect(address: str, is_one: bool) -> MysqlSession:
    """Open ``mysql://user:word@host:port/database``. ``is_one``: all is one transaction."""
    words = _words(address)
    session = MysqlSession(_opened(words), words)
    if is_one:
        session.begin()
    return session


def _words(address: str) -> dict[str, Any]:
    parts = urlsplit(address)
    options = dict(parse_qsl(parts.query))
    if unknown := sorted(options.keys() - _OPTIONS):
        text = f"params.connection: its address has {', '.join(unknown)}; known:"
        raise Misused("BAD_PARAMS", f"{text} {', '.join(sorted(_OPTIONS))}")
    return {
        "host": parts.hostname or "127.0.0.1",
        "port": parts.port or 3306,
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "database": unquote(parts.path[1:]) or None,
        "charset": "utf8mb4",
        **options,
    }


def _opened(words: dict[str, Any]) -> Any:
    try:
        import pymysql
        from pymysql.converters import conversions
        from pymysql.cursors import SSCursor
    except ImportError:
        text = "This worker cannot run the job: PyMySQL is not installed (the extra mysql)."
        raise Misused("NO_CLIENT", text) from None
    try:
        return pymysql.connect(
            **words,
            autocommit=True,
            cursorclass=SSCursor,
            connect_timeout=_CONNECT_SECONDS,
            conv={kind: read for kind, read in conversions.items() if kind not in _TIMES},
        )
    except (pymysql.Error, OSError) as error:
        raise BackendError(_message(error)) from None


class MysqlSession:
    def __init__(self, connection: Any, words: dict[str, Any]) -> None:
        self._connection = connection
        self._words = words
        self._number = connection.thread_id()
        self._is_one = False
        #: The cursor whose rows were not all read.
        self._unread: Any = None

    def begin(self) -> None:
        self._is_one = True
        self._execute("BEGIN")

    def answers(self, piece: Piece) -> Iterator[Answer]:
        """Yield each result: a CALL may have several."""
        cursor = self._execute(piece.statement)
        while True:
            if cursor.description is None:
                yield Answer(touched=cursor.rowcount)
            else:
                yield Answer([column[0] for column in cursor.description], self._rows(cursor))
            if self._unread is not None:
                if piece.only_reads:
                    self._drop_the_rest(cursor)
                    return
                self._read_the_rest(cursor)
            if not _asked(cursor.nextset):
                return

    def _rows(self, cursor: Any) -> Rows:
        self._unread = cursor
        while (row := _asked(cursor.fetchone)) is not None:
            yield row
        self._unread = None

    def _drop_the_rest(self, cursor: Any) -> None:
        """Have the server stop, or it would send what nobody wants to the end.

        All may have been sent already: then the next statement is the one that is interrupted.
        """
        self.cancel()
        self._unread = None
        _interrupted(cursor.close)
        _interrupted(lambda: _plainly(self._connection, "DO 0"))

    def _read_the_rest(self, cursor: Any) -> None:
        """What changes something is not interrupted, or its changes would be undone."""
        while _asked(cursor.fetchone) is not None:
            """Nobody wants it."""
        self._unread = None

    def _execute(self, statement: str) -> Any:
        cursor = self._connection.cursor()
        _asked(lambda: cursor.execute(statement))
        return cursor

    def notes(self) -> list[str]:
        return []

    def finish(self) -> None:
        if self._is_one:
            self._execute("COMMIT")

    def cancel(self) -> None:
        """End the statement on the server, by another connection."""
        other = _opened(self._words)
        try:
            _asked(lambda: _plainly(other, f"KILL QUERY {int(self._number)}"))
        finally:
            other.close()

    def close(self) -> None:
        """An unfinished transaction is rolled back by this."""
        if self._unread is not None:
            with suppress(BackendError):  # a server that is gone runs nothing
                self.cancel()
            # Or both would read on to the end of the rows when they are collected.
            self._unread._result.unbuffered_active = False
            self._unread.connection = None
        if self._connection.open:
            self._connection.close()


_INTERRUPTED = 1317


def _asked(call: Callable[[], Any]) -> Any:
    """Return what the back end says; what it complains of is an error of ours."""
    import pymysql

    try:
        return call()
    except (pymysql.Error, OSError, UnicodeError) as error:
        raise BackendError(_message(error)) from None


def _interrupted(call: Callable[[], Any]) -> None:
    """Do what may be told that it was interrupted, for that is what was asked for."""
    import pymysql

    try:
        call()
    except pymysql.Error as error:
        if error.args[:1] != (_INTERRUPTED,):
            raise BackendError(_message(error)) from None


def _plainly(connection: Any, statement: str) -> None:
    """Run a statement without rows; an unbuffered cursor would wait for some after an error."""
    from pymysql.cursors import Cursor

    with connection.cursor(Cursor) as cursor:
        cursor.execute(statement)


def _message(error: Exception) -> str:
    if len(error.args) == 2:
        return f"{error.args[1]} ({error.args[0]})"
    return str(error)
