"""A connection's socket that keeps what its client does not take yet, so that no thread waits."""

from __future__ import annotations

import socket
from typing import Any

from sentinel_project import clock

#: More than any answer has that is made as a whole (W-5); of a longer one a thread waits.
MAX_KEPT = 16 * 1024 * 1024
_PIECE = 256 * 1024


class Outgoing(socket.socket):
    """Sends what the kernel takes at once; the rest is ``kept`` until ``push`` sends more of it.

    ``patience``: the seconds in which a client that is waited for must take something.
    """

    def __init__(self, sock: socket.socket, patience: float) -> None:
        super().__init__(fileno=sock.detach())
        self.kept = bytearray()
        self._patience = patience
        self._moved_at = 0.0

    def sendall(self, data: Any, flags: int = 0) -> None:
        """Send ``data``, or keep what is not taken of it.

        TimeoutError: the client has taken nothing for too long while an answer was being made, or
        did not take what is too much to be kept.
        """
        if not self.kept:
            self._moved_at = clock.monotonic()
        self.kept += data
        if self.push():
            return
        if len(self.kept) > MAX_KEPT:
            self._send_waiting()
        elif clock.monotonic() - self._moved_at > self._patience:
            raise TimeoutError("the client takes nothing")

    def _send_waiting(self) -> None:
        """Send all that is kept, piece by piece: ``socket.sendall`` would wait so long in all."""
        self.settimeout(self._patience)
        while self.kept:
            self._send_piece()

    def close(self) -> None:
        self.kept.clear()
        super().close()

    def push(self) -> bool:
        """Send what is taken at once; tell whether nothing is left."""
        self.setblocking(False)
        try:
            while self.kept:
                self._send_piece()
        except BlockingIOError:
            return False
        return True

    def _send_piece(self) -> None:
        sent = self.send(self.kept[:_PIECE])
        del self.kept[:sent]
        self._moved_at = clock.monotonic()
