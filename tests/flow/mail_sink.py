"""A real SMTP server in a thread, as far as a client needs it: it keeps the mails it gets."""

from __future__ import annotations

import socketserver
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import Message

#: Of TLS, the head of a record that is long in coming.
TLS_HEAD = b"\x16\x03\x03\x40\x00"


@dataclass(slots=True)
class Sink:
    """``refusal``: what recipients are answered instead of 250, such as ``550 unknown``.

    ``drips_at``: the command, or HELLO for the greeting, that is answered with a byte at a time and
    never to its end, behind ``head``.
    """

    port: int = 0
    refusal: str = ""
    drips_at: bytes = b""
    head: bytes = b""
    recipients: list[str] = field(default_factory=list)
    mails: list[Message] = field(default_factory=list)


#: Never set: it paces what drips.
_PACE = threading.Event()


class _Handler(socketserver.StreamRequestHandler):
    """Talks to one client."""

    sink: Sink

    def handle(self) -> None:
        if self.sink.drips_at == b"HELLO":
            self._drip()
            return
        self._say("220 sink")
        while line := self.rfile.readline():
            match line[:4].upper():
                case self.sink.drips_at:
                    self._drip()
                    return
                case b"QUIT":
                    self._say("221 bye")
                    return
                case b"DATA":
                    self._say("354 go on")
                    self.sink.mails.append(message_from_bytes(self._data()))
                    self._say("250 kept")
                case b"RCPT":
                    address = line.decode().partition("<")[2].partition(">")[0]
                    self.sink.recipients.append(address)
                    self._say(self.sink.refusal or "250 fine")
                case _:
                    self._say("250 fine")

    def _drip(self) -> None:
        """Write until the other side has hung up."""
        with suppress(OSError):
            self.wfile.write(self.sink.head)
            while not _PACE.wait(0.05):
                self.wfile.write(b"2")

    def _data(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()) != b".\r\n":
            lines.append(line)
        return b"".join(lines)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())


@contextmanager
def collecting(context: ssl.SSLContext | None = None) -> Iterator[Sink]:
    """Listen on a free port of the loopback address; ``context`` makes it TLS."""
    sink = Sink()
    handler = type("Handler", (_Handler,), {"sink": sink})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        if context is not None:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        sink.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield sink
        finally:
            server.shutdown()
            thread.join()
