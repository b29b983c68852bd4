"""A session of HiveServer2: statements run there on their own and are asked how they are.

What the server logs of a statement is told as it comes. All calls but ``cancel`` are of one thread,
over one connection; when that thread is held up in a call, a second connection ends the statement.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from tasks_app.executors.queries import Answer, BackendError, Misused, Rows
from tasks_app.rules.sqltext import Piece

if TYPE_CHECKING:
    from tasks_app.executors.hive.thrift_client import Client

_PACKAGES = ("pyhive", "TCLIService", "thrift", "thrift_sasl")
_AUTHS = ("none", "ldap", "kerberos", "nosasl")
_OPTIONS = {"auth", "service", "tls", "ssl_ca"}
#: The first answers are asked for soon, later ones each second.
_SOONEST, _LATEST = 0.02, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a HiveServer2 is and how it is told who we are."""

    host: str
    port: int
    user: str
    password: str
    database: str
    auth: str
    service: str
    is_tls: bool
    ssl_ca: str | None


def connect(name: str, address: str, *, tell: Callable[[str], None]) -> HiveSession:
    """Open a session at ``address``, the connection that the job calls ``name``."""
    where = read(name, address)
    problem = lack()
    if where.auth == "kerberos" and not find_spec("kerberos"):
        problem = "the package kerberos is not installed, and auth of its connection is kerberos"
    if problem:
        raise Misused("NO_CLIENT", f"This worker cannot run the job: {problem}")
    return HiveSession(where, tell)


def lack() -> str | None:
    if all(find_spec(package) for package in _PACKAGES):
        return None
    return "PyHive is not installed (the extra hive: pyhive[hive-pure-sasl] and thrift)"


def read(name: str, address: str) -> Address:
    """Read ``hive://user:word@host:10000/db?auth=ldap``; with a password, ldap is the default."""
    try:
        parts = urlsplit(address)
        port = 10000 if parts.port is None else parts.port
    except ValueError:
        # Not in the library's words: a password with a / in it is a port to it.
        raise _misused(f"the address of {name} cannot be read") from None
    if parts.scheme != "hive" or not parts.hostname or port == 0:
        raise _misused(f"{name} is no address such as hive://user@host:10000/db")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    auth = options.get("auth", "ldap" if parts.password else "none")
    if problem := _problem(options, auth, has_password=bool(parts.password)):
        raise _misused(f"{name}: {problem}")
    return Address(
        host=parts.hostname,
        port=port,
        user=unquote(parts.username or "sentinel"),
        # Who does not look at it must be sent some password too, or PLAIN is not complete.
        password=unquote(parts.password or "x"),
        database=unquote(parts.path.strip("/")) or "default",
        auth=auth,
        service=options.get("service", "hive"),
        is_tls=options.get("tls") == "true",
        ssl_ca=options.get("ssl_ca"),
    )


def _problem(options: Mapping[str, str], auth: str, *, has_password: bool) -> str | None:
    if options.keys() - _OPTIONS:
        return f"its address may have the options {', '.join(sorted(_OPTIONS))}"
    if auth not in _AUTHS:
        return f"auth is one of {', '.join(_AUTHS)}"
    if auth == "ldap" and not has_password:
        return "auth=ldap needs a password"
    if options.get("tls", "true") not in ("true", "false"):
        return "tls is true or false"
    return None


def _misused(text: str) -> Misused:
    return Misused("BAD_PARAMS", f"params.connection: {text}")


def _client(address: Address) -> Client:
    from tasks_app.executors.hive.thrift_client import Client

    return Client(address)


class HiveSession:
    def __init__(self, address: Address, tell: Callable[[str], None]) -> None:
        self._address = address
        self._tell = tell
        self._cancelled = threading.Event()
        #: The handle of the statement that the server has in hand.
        self._operation: Any = None
        self._client = _client(address)
        try:
            self._session = self._client.opened_session(address)
        except Exception:
            self._client.close()
            raise

    def answers(self, piece: Piece) -> Iterator[Answer]:
        self._operation = self._client.started(self._session, piece.statement)
        try:
            self._wait()
            yield self._answer()
        finally:
            # Frees its rows there; in an error it ends the statement as well. A server that does
            # not hear it lets go of everything when the connection ends.
            with suppress(BackendError):
                self._client.forget(self._operation)
            self._operation = None

    def _wait(self) -> None:
        """Return when the statement is done, and tell what the server says of it meanwhile."""
        pause = _SOONEST
        self._tell_log()
        while (state := self._client.state(self._operation)) is None:
            self._tell_log()
            if self._cancelled.wait(pause):
                self._client.cancel(self._operation)
                raise BackendError("cancelled")
            pause = min(2 * pause, _LATEST)
        self._tell_log()
        if state.problem is not None:
            raise BackendError(state.problem)

    def _tell_log(self) -> None:
        for line in self._client.log(self._operation):
            self._tell(line)

    def _answer(self) -> Answer:
        columns = self._client.columns(self._operation)
        first = self._client.page(self._operation) if columns else None
        # Spark has a column for what returns no rows, but then no page has it.
        return Answer() if first is None else Answer(columns, self._rows(first))

    def _rows(self, page: list[tuple[Any, ...]] | None) -> Rows:
        while page:
            yield from page
            page = self._client.page(self._operation)

    def notes(self) -> list[str]:
        """All was told as it came."""
        return []

    def finish(self) -> None:
        """Every statement was ended by itself."""

    def cancel(self) -> None:
        """Have the session's own thread cancel; when it is asked again it seems to be held up."""
        is_held_up = self._cancelled.is_set()
        self._cancelled.set()
        operation = self._operation
        if is_held_up and operation is not None:
            with closing(_client(self._address)) as other:
                other.cancel(operation)
                with suppress(BackendError):  # the session's own thread may be first now
                    other.forget(operation)

    def close(self) -> None:
        """Whatever of the session is left on the server ends with it."""
        with suppress(BackendError):  # it ends with its connection too
            self._client.end_session(self._session)
        self._client.close()
