"""The calls of HiveServer2's protocol that a session needs, typed, and with errors of ours.

Imported only where PyHive is: it brings the protocol (``TCLIService``) and the client of SASL.
Values stay what the server sends, which is exact; PyHive's own cursor would cut and round some.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pyhive import hive
from TCLIService import TCLIService, ttypes
from thrift.protocol.TBinaryProtocol import TBinaryProtocol
from thrift.Thrift import TException
from thrift.transport.TSocket import TSocket
from thrift.transport.TSSLSocket import TSSLSocket
from thrift.transport.TTransport import TBufferedTransport
from thrift_sasl import TSaslClientTransport

from tasks_app.executors.queries import BackendError

if TYPE_CHECKING:
    from tasks_app.executors.hive.hs2 import Address

_CONNECT_MILLISECONDS = 10_000
#: A session may need resources of the cluster, a cancellation only an answer.
_ANSWER_MILLISECONDS = 60_000
_ROWS_AT_ONCE = 200
_ROWS, _LOG = 0, 1
_TRACE = re.compile(r"\n\s+at [\w.$/]+\(.*", re.DOTALL)
_States = ttypes.TOperationState
_BUSY = {_States.INITIALIZED_STATE, _States.PENDING_STATE, _States.RUNNING_STATE}
_WELL = {ttypes.TStatusCode.SUCCESS_STATUS, ttypes.TStatusCode.SUCCESS_WITH_INFO_STATUS}


@dataclass(frozen=True, slots=True)
class Ended:
    """A statement is over. ``problem`` None: it was done."""

    problem: str | None


class Client:
    """One connection. Raises ``BackendError``; to be used by one thread at a time."""

    def __init__(self, address: Address) -> None:
        self._socket = _socket(address)
        self._transport = _transport(address, self._socket)
        self._has_log = True
        try:
            self._transport.open()
        except Exception as error:  # libraries of SASL and Kerberos raise errors of their own
            self.close()
            raise BackendError(_told(error)) from None
        self._socket.setTimeout(_ANSWER_MILLISECONDS)
        self._calls = TCLIService.Client(TBinaryProtocol(self._transport))

    def opened_session(self, address: Address) -> Any:
        request = ttypes.TOpenSessionReq(
            # The oldest version with pages of columns; any server can go back to it.
            client_protocol=ttypes.TProtocolVersion.HIVE_CLI_SERVICE_PROTOCOL_V6,
            username=address.user,
            configuration={"use:database": address.database},
        )
        session = _well(self._calls.OpenSession, request).sessionHandle
        # From here on, what the server compiles or computes takes as long as it takes.
        self._socket.setTimeout(None)
        return session

    def end_session(self, session: Any) -> None:
        _well(self._calls.CloseSession, ttypes.TCloseSessionReq(session))

    def started(self, session: Any, statement: str) -> Any:
        """Have the server begin; return the handle of the operation."""
        request = ttypes.TExecuteStatementReq(session, statement, runAsync=True)
        return _well(self._calls.ExecuteStatement, request).operationHandle

    def state(self, operation: Any) -> Ended | None:
        """Return how it ended, or None: it goes on. Servers answer late while nothing changes."""
        told = _well(self._calls.GetOperationStatus, ttypes.TGetOperationStatusReq(operation))
        if told.operationState in _BUSY:
            return None
        if told.operationState == _States.FINISHED_STATE:
            return Ended(None)
        name = _States._VALUES_TO_NAMES.get(told.operationState, str(told.operationState))
        return Ended(_without_trace(told.errorMessage) or f"the server ended it with {name}")

    def log(self, operation: Any) -> list[str]:
        """Return what was logged since the last time; who keeps no log is not asked again."""
        found: list[str] = []
        while self._has_log:
            try:
                page = self._fetched(operation, _LOG, maxRows=_ROWS_AT_ONCE)
            except BackendError:
                self._has_log = False
                break
            lines = [str(line) for [line] in page or ()]
            if not lines:
                break
            found += lines
        return found

    def columns(self, operation: Any) -> list[str]:
        """Return the names of the result's columns; none: there is no result."""
        if not operation.hasResultSet:
            return []
        request = ttypes.TGetResultSetMetadataReq(operation)
        schema = _well(self._calls.GetResultSetMetadata, request).schema
        return [column.columnName for column in schema.columns] if schema else []

    def page(self, operation: Any) -> list[tuple[Any, ...]] | None:
        """Return the next rows. Empty: there are no more; None: it has no columns at all."""
        return self._fetched(operation, _ROWS, maxRows=_ROWS_AT_ONCE)

    def _fetched(self, operation: Any, kind: int, **words: Any) -> list[tuple[Any, ...]] | None:
        forth = ttypes.TFetchOrientation.FETCH_NEXT
        request = ttypes.TFetchResultsReq(operation, forth, fetchType=kind, **words)
        columns = _well(self._calls.FetchResults, request).results.columns
        return None if columns is None else list(zip(*map(_values, columns), strict=True))

    def cancel(self, operation: Any) -> None:
        _well(self._calls.CancelOperation, ttypes.TCancelOperationReq(operation))

    def forget(self, operation: Any) -> None:
        """Close the operation: its rows are freed, and what of it still runs is ended."""
        _well(self._calls.CloseOperation, ttypes.TCloseOperationReq(operation))

    def close(self) -> None:
        if self._socket.handle is not None:  # a socket of TLS that was not opened cannot be closed
            self._transport.close()


def _socket(address: Address) -> Any:
    words = {"host": address.host, "port": address.port, "socket_keepalive": True}
    if address.is_tls:
        try:
            words["ssl_context"] = ssl.create_default_context(cafile=address.ssl_ca)
        except (OSError, ValueError) as error:
            raise BackendError(f"ssl_ca of the connection cannot be read: {error}") from None
    socket = TSSLSocket(**words) if address.is_tls else TSocket(**words)
    socket.setTimeout(_CONNECT_MILLISECONDS)
    return socket


def _transport(address: Address, socket: Any) -> Any:
    if address.auth == "nosasl":
        return TBufferedTransport(socket)
    mechanism = "GSSAPI" if address.auth == "kerberos" else "PLAIN"

    def client() -> Any:
        return hive.get_installed_sasl(
            host=address.host,
            sasl_auth=mechanism,
            service=address.service,
            username=address.user,
            password=address.password,
        )

    return TSaslClientTransport(client, mechanism, socket)


def _asked(call: Callable[..., Any], *args: Any) -> Any:
    """Return what the server answers; what goes wrong on the way is an error of ours."""
    try:
        return call(*args)
    except (TException, OSError, EOFError, UnicodeError) as error:
        raise BackendError(_told(error)) from None


def _told(error: Exception) -> str:
    inner = getattr(error, "inner", None)
    told = str(error) or type(error).__name__
    return f"{told}: {inner}" if inner else told


def _well(call: Callable[[Any], Any], request: Any) -> Any:
    response = _asked(call, request)
    if response.status.statusCode not in _WELL:
        code = response.status.statusCode
        name = ttypes.TStatusCode._VALUES_TO_NAMES.get(code, str(code))
        raise BackendError(_without_trace(response.status.errorMessage) or name)
    return response


def _without_trace(message: str | None) -> str:
    """Leave out where in the server's code it happened."""
    return _TRACE.sub("", message or "").strip()


def _values(column: Any) -> Sequence[Any]:
    """Return the values of a column of a page, whose nulls are bits beside them."""
    typed = next(each for each in vars(column).values() if each is not None)
    values = list(typed.values)
    for place, bits in enumerate(typed.nulls):
        for bit in range(8):
            if bits >> bit & 1 and place * 8 + bit < len(values):
                values[place * 8 + bit] = None
    return values
