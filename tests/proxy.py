"""A TCP proxy that can be cut and frozen, so that a test may take away a server that others use."""

from __future__ import annotations

import contextlib
import select
import socket
import threading

_CHUNK = 65536
_TICK = 0.1


class Proxy:
    """Listens on a port of its own and forwards to ``target``.

    ``cut`` closes every connection and refuses new ones, as a server that is down does. ``freeze``
    keeps them open and carries nothing, as one that hangs does. ``refuse`` lets those go on that
    are there, and no new one. ``heal`` ends all of it.
    """

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._flows = threading.Event()
        self._flows.set()
        self._is_cut = False
        self._is_closed = False
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, name="proxy", daemon=True).start()

    def cut(self) -> None:
        self._is_cut = True
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            _close(*pair)

    def refuse(self) -> None:
        self._is_cut = True

    def freeze(self) -> None:
        self._flows.clear()

    def heal(self) -> None:
        self._is_cut = False
        self._flows.set()

    def close(self) -> None:
        self._is_closed = True
        self.heal()
        self.cut()
        self._listener.close()

    def _has_ended(self) -> bool:
        return self._is_cut or self._is_closed

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                ours, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                ours.close()
                continue
            try:
                theirs = socket.create_connection(self._target, timeout=5)
            except OSError:
                ours.close()
                continue
            with self._lock:
                self._pairs.add((ours, theirs))
            if self._has_ended():  # meanwhile
                _close(ours, theirs)
            threading.Thread(target=self._carry, args=(ours, theirs), daemon=True).start()

    def _carry(self, ours: socket.socket, theirs: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            while self._carry_some(ours, theirs):
                pass
        with self._lock:
            self._pairs.discard((ours, theirs))
        _close(ours, theirs)

    def _carry_some(self, ours: socket.socket, theirs: socket.socket) -> bool:
        """Carry what has come by now; False: one of the sides has hung up."""
        self._flows.wait()
        for ready in select.select([ours, theirs], [], [], _TICK)[0]:
            data = ready.recv(_CHUNK)
            self._flows.wait()
            if not data:
                return False
            (theirs if ready is ours else ours).sendall(data)
        return True


def _close(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
