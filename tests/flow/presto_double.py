"""A protocol double of a Presto or Trino server, written for the tests: SQLite behind its pages.

It is no Presto: it speaks the pages, headers, errors and DELETE of the protocol to a client.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.flow.http_servers import QuietHandler, listening

PAGE = 100


@dataclass(slots=True)
class Double:
    """``busy``: so many requests are answered 503. ``hangs_up``: no DELETE is answered.

    A statement ``HANG`` runs until DELETE.
    """

    family: str = "X-Trino-"
    port: int = 0
    busy: int = 0
    hangs_up: bool = False
    running: dict[str, Iterator[dict[str, Any]]] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)

    def pages(self, statement: str, number: str) -> Iterator[dict[str, Any]]:
        """Yield the pages of one statement, the first without columns, as a real server does."""
        yield {"stats": {"state": "QUEUED"}}
        while statement == "HANG":
            yield {"stats": {"state": "RUNNING", "totalSplits": 4, "completedSplits": 1}}
        try:
            cursor = sqlite3.connect(":memory:", check_same_thread=False).execute(statement)
        except sqlite3.Error as error:
            yield {"error": {"errorName": "SYNTAX_ERROR", "message": str(error)}}
            return
        if cursor.description is None:
            yield {"updateType": "CREATE TABLE"}
            return
        columns = [{"name": each[0], "type": "varchar"} for each in cursor.description]
        while rows := cursor.fetchmany(PAGE):
            yield {"columns": columns, "data": rows}
        yield {"columns": columns, "stats": {"state": "FINISHED"}}


@contextmanager
def serving(family: str = "X-Trino-") -> Iterator[Double]:  # noqa: C901 (one small server)
    double = Double(family)
    numbers = itertools.count(1)

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"])).decode()
            if self._is_busy():
                return
            double.headers.append(dict(self.headers.items()))
            number = f"q{next(numbers)}"
            said: dict[str, str] = {}
            if body.startswith("SET SESSION "):
                said = {f"{double.family}Set-Session": body.removeprefix("SET SESSION ")}
                body = "CREATE TABLE t (a)"
            double.running[number] = double.pages(body, number)
            self._answer_page(number, said)

        def do_GET(self) -> None:
            if not self._is_busy():
                self._answer_page(self.path.rsplit("/", 1)[-1], {})

        def do_DELETE(self) -> None:
            if double.hangs_up:
                self.close_connection = True
                return
            number = self.path.rsplit("/", 1)[-1]
            double.running.pop(number, None)
            double.deleted.append(number)
            self.answer(204, b"")

        def _is_busy(self) -> bool:
            double.busy -= 1
            if double.busy >= 0:
                self.answer(503, b"busy")
            return double.busy >= 0

        def _answer_page(self, number: str, said: dict[str, str]) -> None:
            pages = double.running.get(number)
            page: dict[str, Any] = {"error": {"message": "cancelled"}}
            if pages is not None:
                page = next(pages, {})
            is_last = (
                not page or "error" in page or page.get("stats", {}).get("state") == "FINISHED"
            )
            if is_last or "updateType" in page:
                double.running.pop(number, None)
            else:
                # The name is one that cannot be reached: a client keeps to the host it was given.
                page["nextUri"] = f"http://coordinator.invalid/v1/statement/{number}"
            self.answer(200, json.dumps({"id": number, **page}).encode(), said)

    with listening(Handler) as double.port:
        yield double
