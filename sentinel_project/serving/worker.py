"""gunicorn's threaded worker, with all waiting for clients moved out of its threads.

Its own threads wait for a request's first bytes, then for the rest of head and body, as long as the
client likes; a few dozen sockets hold all of them. Here the main loop gathers a whole request
before a thread hears of it, and the thread reads those bytes and never the socket. Of an answer the
thread sends what the client takes at once; the main loop sends the rest, which has a deadline.
"""

from __future__ import annotations

import resource
import selectors
import socket
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from typing import Any

from django.conf import settings
from gunicorn import http
from gunicorn.errors import ConfigError
from gunicorn.workers.gthread import TConn, ThreadWorker

from sentinel_project import clock
from sentinel_project.serving import refusals
from sentinel_project.serving.framing import Incoming
from sentinel_project.serving.outgoing import Outgoing

_PIECE = 64 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
#: What all unfinished requests of a process may hold in memory.
_MAX_GATHERED = 256 * 1024 * 1024
#: What all answers that their clients do not take may hold.
_MAX_UNSENT = 256 * 1024 * 1024
#: So much of an answer a client must take in each ``SENTINEL_REQUEST_SECONDS``.
_SLOWEST = 1024 * 1024
#: How long, and how much, a client that was answered may still send before the door is shut: one
#: that is cut off while sending never sees the answer.
_LINGER_SECONDS = 2.0
_LINGER_BYTES = 32 * 1024 * 1024
_MAX_LINGERING = 100
#: Files of a process that are no connections of clients: of the database, logs, modules.
_OTHER_FILES = 200
_STOP_SECONDS = 2.0
_MAKES_ROOM = "has to make room"


class Connection(TConn):  # type: ignore[misc]
    """A client's connection; its parser has the bytes it is given, and no socket."""

    def __init__(self, cfg: Any, sock: socket.socket, client: Any, server: Any) -> None:
        super().__init__(cfg, sock, client, server)
        self.parser = http.get_parser(cfg, iter(()), client)
        self.initialized = self.data_ready = True
        self.incoming = Incoming()
        self.lingered = 0
        self.linger: Callable[[Connection], None] = Connection.close

    def close(self, graceful: bool = False) -> None:
        if graceful:
            self.linger(self)
        else:
            super().close()


class Worker(ThreadWorker):  # type: ignore[misc]
    """``--worker-class sentinel_project.serving.worker.Worker``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._gathering: dict[Connection, float] = {}
        self._gathered = 0
        self._lingering: dict[Connection, float] = {}
        self._sending: dict[Connection, float] = {}
        self._seconds = 0.0

    @classmethod
    def check_config(cls, cfg: Any, log: Any) -> None:
        """Refuse what this worker would read wrongly."""
        super().check_config(cfg, log)
        forms = (cfg.http2_cleartext, cfg.proxy_protocol, cfg.protocol)
        if cfg.is_ssl or forms != ("off", "off", "http"):
            raise ConfigError("Sentinel's worker reads plain HTTP/1; put a proxy before it for TLS")

    def run(self) -> None:
        self._seconds = float(settings.SENTINEL_REQUEST_SECONDS)
        self.cfg.set("sendfile", False)  # a file, too, goes through the connection's ``sendall``
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        if files != resource.RLIM_INFINITY:
            room = max(1, files - _OTHER_FILES - _MAX_LINGERING)
            self.worker_connections: int = min(self.cfg.worker_connections, room)
            self.max_keepalived = self.worker_connections - self.cfg.threads
        super().run()

    def accept(self, listener: socket.socket) -> None:
        try:
            sock, client = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        conn = Connection(self.cfg, Outgoing(sock, self._seconds), client, listener.getsockname())
        conn.linger = self._linger
        self.nr_conns += 1
        self.enqueue_req(conn)

    def enqueue_req(self, conn: Connection) -> None:
        """Gather a request of ``conn``; a thread gets it when it is whole."""
        conn.sock.setblocking(False)
        conn.incoming = Incoming()
        self._gathering[conn] = clock.monotonic() + self._seconds
        self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._on_readable, conn))
        # What came with the request before this one does not make the socket readable.
        if early := conn.parser.unreader.take_buffered():
            self._take(conn, early)
        if conn in self._gathering:
            self._on_readable(conn, conn.sock)

    def _on_readable(self, conn: Connection, _sock: socket.socket) -> None:
        try:
            piece = conn.sock.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if piece:
            self._take(conn, piece)
        else:
            self._drop(conn)

    def _take(self, conn: Connection, piece: bytes) -> None:
        incoming = conn.incoming
        incoming.take(piece)
        self._gathered += len(piece)
        if incoming.fault:
            self._refuse(conn, incoming.fault)
        elif incoming.is_whole:
            self._let_go(conn)
            conn.parser.unreader.unread(bytes(incoming.data))
            super().enqueue_req(conn)
        elif self._gathered > _MAX_GATHERED:
            self._refuse(conn, HTTPStatus.SERVICE_UNAVAILABLE)
        elif incoming.waits_for_continue:
            incoming.waits_for_continue = False
            refusals.send(conn.sock, _CONTINUE)

    def _let_go(self, conn: Connection) -> None:
        del self._gathering[conn]
        self._gathered -= len(conn.incoming.data)
        self.poller.unregister(conn.sock)

    def _drop(self, conn: Connection) -> None:
        self._let_go(conn)
        self.nr_conns -= 1
        conn.close()

    def _refuse(self, conn: Connection, status: HTTPStatus) -> None:
        self.log.info("Refused a request from %s: %s", conn.client, refusals.SAY[status])
        self._let_go(conn)
        self.nr_conns -= 1
        refusals.send(conn.sock, refusals.answer(status, status.phrase, refusals.SAY[status]))
        conn.close(graceful=True)

    def murder_pending(self) -> None:
        """End what is overdue. gunicorn's loop calls this at every turn, once a second at least."""
        for conn in list(_overdue(self._gathering)):
            if conn.incoming.data:
                self._refuse(conn, HTTPStatus.REQUEST_TIMEOUT)
            else:
                self._drop(conn)
        for conn in list(_overdue(self._sending)):
            self._leave(conn, "does not take its answer")
        for conn in list(_overdue(self._lingering)):
            self._shut(conn)
        if self.nr_conns >= self.worker_connections:
            self._make_room()

    def _make_room(self) -> None:
        """Give up those that are served longest, rather than accept nobody."""
        enough = self.worker_connections * 9 // 10
        for conn in list(self._gathering)[: self.nr_conns - enough]:
            self._drop(conn)
        for conn in list(self._sending)[: max(0, self.nr_conns - enough)]:
            self._leave(conn, _MAKES_ROOM)

    def _cap_keepalive(self, deadline: float) -> None:
        """The worker stops: what is being sent has a moment left, like what is kept alive."""
        super()._cap_keepalive(deadline)
        end = clock.monotonic() + _STOP_SECONDS
        self._gathering = {conn: min(at, end) for conn, at in self._gathering.items()}

    def _linger(self, conn: Connection) -> None:
        """Shut the way out, and read on for a moment: without this, in the main loop, blocking."""
        try:
            conn.sock.shutdown(socket.SHUT_WR)
            conn.sock.setblocking(False)
            self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._discard, conn))
        except OSError:
            conn.close()
            return
        self._lingering[conn] = clock.monotonic() + _LINGER_SECONDS
        if len(self._lingering) > _MAX_LINGERING:
            self._shut(next(iter(self._lingering)))

    def _discard(self, conn: Connection, _sock: socket.socket) -> None:
        try:
            piece = conn.sock.recv(_PIECE)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        conn.lingered += len(piece)
        if not piece or conn.lingered > _LINGER_BYTES:
            self._shut(conn)

    def _shut(self, conn: Connection) -> None:
        del self._lingering[conn]
        self.poller.unregister(conn.sock)
        conn.close()

    def handle_request(self, req: Any, conn: Connection) -> Any:
        """Serve ``req`` in a thread; a client that does not take its answer is left alone."""
        conn.sock.settimeout(self._seconds)
        try:
            return super().handle_request(req, conn)
        except TimeoutError:
            self.log.info("Left %s, which does not take its answer", conn.client)
            conn.sock.kept.clear()
            return False
        except OSError:
            conn.sock.kept.clear()
            raise

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """Go on with ``conn`` when a thread has answered, and the client has taken the answer."""
        unsent = len(conn.sock.kept)
        if not unsent:
            super().finish_request(conn, fs)
            return
        self._sending[conn] = clock.monotonic() + self._seconds * (1 + unsent // _SLOWEST)
        self.poller.register(conn.sock, selectors.EVENT_WRITE, partial(self._on_writable, conn, fs))
        while sum(len(each.sock.kept) for each in self._sending) > _MAX_UNSENT:
            self._leave(next(iter(self._sending)), _MAKES_ROOM)

    def _on_writable(self, conn: Connection, fs: Any, _sock: socket.socket) -> None:
        try:
            is_taken = conn.sock.push()
        except OSError:
            self._leave(conn, "is gone")
            return
        if is_taken:
            del self._sending[conn]
            self.poller.unregister(conn.sock)
            super().finish_request(conn, fs)

    def _leave(self, conn: Connection, why: str) -> None:
        """Close the connection of a client that has not taken all of its answer."""
        self.log.info("Left %s, which %s", conn.client, why)
        del self._sending[conn]
        self.poller.unregister(conn.sock)
        self.nr_conns -= 1
        conn.close()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Refuse what is no request in the wire's own form: never HTML (W-2)."""
        page = refusals.Page()
        super().handle_error(req, page, addr, exc)
        status, _, phrase = page.status_line.partition(" ")
        is_ours = int(status) == HTTPStatus.INTERNAL_SERVER_ERROR
        said = "system failure, see the server's log" if is_ours else str(exc)
        refusals.send(client, refusals.answer(int(status), phrase, said))


def _overdue(connections: dict[Connection, float]) -> Iterator[Connection]:
    now = clock.monotonic()
    return (conn for conn, deadline in connections.items() if deadline <= now)
