"""jobTypes ``presto`` and ``trino``: statements over the protocol of ``/v1/statement``.

Both servers speak it, with headers of another name; the scheme of the connection says which. Each
answer names the address of the next page, and DELETE on that address cancels the statement.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import httpx

from tasks_app.executors.base import Execution, Outcome, Output, Stop
from tasks_app.executors.jobtype import JobType
from tasks_app.executors.queries import (
    PARAMS,
    Answer,
    BackendError,
    Misused,
    Rows,
    Session,
    run_statements,
)
from tasks_app.rules.sqltext import Dialect, Piece

_FAMILIES = {"presto": "X-Presto-", "trino": "X-Trino-"}
_SECONDS = 30.0
#: Servers cut pages at a megabyte or a few; a single row may be larger.
_MAX_PAGE = 64 * 1024 * 1024
#: A server that is busy is asked again, after a wait that doubles, for a bit over a minute.
_BUSY = {429, 502, 503, 504}
_WAITS = (0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 20.0, 20.0)


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    name = execution.extra["connection"]

    def connect() -> Session:
        return PrestoSession(*_opened(name, execution.credentials[name]))

    return run_statements(execution, output, stop, dialect=Dialect.PRESTO, connect=connect)


def _opened(name: str, address: str) -> tuple[httpx.Client, str, dict[str, str]]:
    """Return a client, the family of headers, and those of a new session.

    The address is ``trino://user:word@host:8080/catalog/schema``; with a password, or with
    ``?tls=true``, it is called by https.
    """
    parts = urlsplit(address)
    family = _FAMILIES.get(parts.scheme)
    options = dict(parse_qsl(parts.query))
    try:
        port = parts.port
    except ValueError:
        port = 0
    if family is None or not parts.hostname or port == 0 or options.keys() - {"tls"}:
        text = f"params.connection: {name} is no address such as trino://user@host:8080/catalog"
        raise Misused("BAD_PARAMS", text)
    user, password = unquote(parts.username or "sentinel"), unquote(parts.password or "")
    is_safe = options.get("tls", "true" if password else "false") == "true"
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    client = httpx.Client(
        base_url=f"{'https' if is_safe else 'http'}://{host}:{port or (443 if is_safe else 8080)}",
        auth=(user, password) if password else None,
        timeout=_SECONDS,
        trust_env=False,
    )
    catalog, _, schema = parts.path.strip("/").partition("/")
    session = {"User": user, "Source": "sentinel", "Catalog": catalog, "Schema": schema}
    return client, family, {name: value for name, value in session.items() if value}


@dataclass(frozen=True, slots=True)
class _Response:
    status: int
    headers: Mapping[str, str]
    body: bytes


class PrestoSession:
    """What the server keeps of a session is in headers, which it tells to set and to drop."""

    def __init__(self, client: httpx.Client, family: str, session: dict[str, str]) -> None:
        self._client = client
        self._family = family
        self._session = session
        self._settings: dict[str, str] = {}
        self._next: str | None = None
        self._cancelled = threading.Event()
        self._told: list[str] = []

    def answers(self, piece: Piece) -> Iterator[Answer]:
        page = self._asked("POST", "/v1/statement", piece.statement)
        while "columns" not in page and self._next is not None:
            page = self._asked("GET", self._next)
        if "columns" not in page or page.get("updateType"):
            for _ in self._rows(page):
                """The statement is over when the last page was seen."""
            yield Answer(touched=page.get("updateCount"))
            return
        yield Answer([str(column["name"]) for column in page["columns"]], self._rows(page))
        if self._next is not None:
            try:
                self.cancel()
            except httpx.HTTPError as error:
                # All that was asked for has come; unasked for, the server gives up the rest.
                self._told.append(f"the server was not told to stop: {type(error).__name__}")
            self._cancelled.clear()
            self._next = None

    def _rows(self, page: dict[str, Any]) -> Rows:
        while True:
            yield from page.get("data") or ()
            if self._next is None:
                return
            page = self._asked("GET", self._next)

    def _asked(self, method: str, path: str, body: str | None = None) -> dict[str, Any]:
        response = self._sent(method, path, body)
        if response.status != httpx.codes.OK:
            told = response.body[:1000].decode(errors="replace").strip()
            raise BackendError(f"the server answered {response.status}: {told}")
        try:
            page: dict[str, Any] = json.loads(response.body)
            self._next = _path(page.get("nextUri"))
        except (ValueError, AttributeError):
            raise BackendError("the server answered what is no page of this protocol") from None
        self._keep(response.headers)
        self._note_progress(page.get("stats") or {})
        if error := page.get("error"):
            self._next = None
            raise BackendError(f"{error.get('errorName', 'error')}: {error.get('message')}")
        return page

    def _sent(self, method: str, path: str, body: str | None) -> _Response:
        for wait in (*_WAITS, None):
            if self._cancelled.is_set():
                raise BackendError("cancelled")
            try:
                response = self._received(method, path, body)
            except httpx.HTTPError as error:
                raise BackendError(f"{type(error).__name__}: {error}") from None
            if response.status not in _BUSY or wait is None:
                return response
            self._told.append(f"the server answered {response.status}, asking again")
            self._cancelled.wait(wait)
        raise AssertionError("the last try returns")

    def _received(self, method: str, path: str, body: str | None) -> _Response:
        """Read an answer by pieces: a server that is broken must not take the worker's memory."""
        content = None if body is None else body.encode()
        with self._client.stream(method, path, content=content, headers=self._headers()) as sent:
            received = bytearray()
            for data in sent.iter_bytes():
                received += data
                if len(received) > _MAX_PAGE:
                    raise BackendError(f"a page of the answer is longer than {_MAX_PAGE} bytes")
        return _Response(sent.status_code, sent.headers, bytes(received))

    def _headers(self) -> dict[str, str]:
        named = dict(self._session)
        if self._settings:
            named["Session"] = ",".join(f"{key}={value}" for key, value in self._settings.items())
        return {f"{self._family}{name}": value for name, value in named.items()}

    def _keep(self, headers: Mapping[str, str]) -> None:
        """Do what SET SESSION, RESET SESSION, USE and transactions leave to the client."""
        said = {name: headers.get(f"{self._family}{name}", "") for name in _SAID}
        if said["Set-Session"]:
            name, _, value = said["Set-Session"].partition("=")
            self._settings[name.strip()] = value.strip()
        self._settings.pop(said["Clear-Session"], None)
        for name in ("Catalog", "Schema"):
            if said[f"Set-{name}"]:
                self._session[name] = unquote(said[f"Set-{name}"])
        if said["Started-Transaction-Id"]:
            self._session["Transaction-Id"] = said["Started-Transaction-Id"]
        if said["Clear-Transaction-Id"]:
            self._session.pop("Transaction-Id", None)

    def _note_progress(self, stats: Mapping[str, Any]) -> None:
        if stats.get("totalSplits"):
            done, total = stats.get("completedSplits", 0), stats["totalSplits"]
            line = f"{stats.get('state', '')}: {done} of {total} splits"
            if not self._told or self._told[-1] != line:
                self._told.append(line)

    def notes(self) -> list[str]:
        found, self._told = self._told, []
        return found

    def finish(self) -> None:
        """Every statement was ended by itself."""

    def cancel(self) -> None:
        """DELETE the page that would be next; a server that has forgotten it runs nothing."""
        self._cancelled.set()
        path = self._next
        if path is not None:
            self._client.request("DELETE", path, headers=self._headers())

    def close(self) -> None:
        if self._next is not None:
            with suppress(httpx.HTTPError):  # unasked for, the server gives it up by itself
                self.cancel()
        self._client.close()


_SAID = (
    *("Set-Session", "Clear-Session", "Set-Catalog", "Set-Schema"),
    *("Started-Transaction-Id", "Clear-Transaction-Id"),
)


def _path(next_uri: str | None) -> str | None:
    """Return the next page's place on the server we were given: no password goes elsewhere."""
    if next_uri is None:
        return None
    parts = urlsplit(next_uri)
    return quote(parts.path, safe="/%") + (f"?{parts.query}" if parts.query else "")


TYPE = JobType(execute=execute, params=PARAMS, is_in_process=True)
