"""SMTP with a deadline for all of it: to a server that drips bytes, each single read is in time."""

from __future__ import annotations

import smtplib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from django.core.mail.backends.smtp import EmailBackend


class Deadline:
    """When it has passed, connections that it watches are cut, and new ones at once."""

    def __init__(self) -> None:
        self.has_passed = False
        self._copies: list[socket.socket] = []
        self._lock = threading.Lock()

    def watch(self, made: socket.socket) -> None:
        # A copy, for TLS takes the socket itself over; a shutdown is of the connection.
        copy = made.dup()
        with self._lock:
            self._copies.append(copy)
            if self.has_passed:
                _cut(copy)

    def pass_by(self) -> None:
        with self._lock:
            self.has_passed = True
            for copy in self._copies:
                _cut(copy)

    def forget(self) -> None:
        with self._lock:
            while self._copies:
                self._copies.pop().close()


def _cut(connection: socket.socket) -> None:
    with suppress(OSError):  # the other side was first
        connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def deadline_after(span: timedelta) -> Iterator[Deadline]:
    deadline = Deadline()
    timer = threading.Timer(span.total_seconds(), deadline.pass_by)
    timer.daemon = True
    timer.start()
    try:
        yield deadline
    finally:
        timer.cancel()
        timer.join()
        deadline.forget()


class _Watched(smtplib.SMTP):
    """Shows its socket to the deadline as soon as it is there: the greeting may drip as well.

    It connects while it is made, so the deadline is its class's.
    """

    deadline: Deadline

    def _get_socket(self, host: str, port: int, timeout: float) -> socket.socket:
        made: socket.socket = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self.deadline.watch(made)
        return made


class _WatchedTLS(smtplib.SMTP_SSL, _Watched):
    """The same; by this order of classes the socket is shown before its TLS begins."""


class Backend(EmailBackend):
    """Django's, with a deadline."""

    def __init__(self, deadline: Deadline) -> None:
        super().__init__()
        self._deadline = deadline

    @property
    def connection_class(self) -> type[smtplib.SMTP]:
        base = _WatchedTLS if self.use_ssl else _Watched
        return type("Watched", (base,), {"deadline": self._deadline})
