"""A real HTTP receiver in a thread: it keeps what it got, and answers what it was told."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.flow.http_servers import QuietHandler, listening


@dataclass(frozen=True, slots=True)
class Got:
    """One request as it arrived; header names in lower case."""

    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Receiver:
    """``status``, ``headers`` and ``body`` are the answer from now on."""

    port: int = 0
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b"thanks"
    #: Cleared: answers wait until it is set.
    may_answer: threading.Event = field(default_factory=threading.Event)
    got: list[Got] = field(default_factory=list)

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@contextmanager
def receiving(context: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    """Listen on a free port of the loopback address; ``context`` makes it TLS."""
    receiver = Receiver()
    receiver.may_answer.set()

    class Handler(QuietHandler, BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            named = {name.lower(): value for name, value in self.headers.items()}
            receiver.got.append(Got(self.path, named, body))
            receiver.may_answer.wait(30)
            self.answer(receiver.status, receiver.body, receiver.headers)

        def do_GET(self) -> None:
            self.do_POST()

    with listening(Handler, context) as receiver.port:
        try:
            yield receiver
        finally:
            receiver.may_answer.set()
