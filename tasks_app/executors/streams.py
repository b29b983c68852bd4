"""The thread that carries what a tree prints to where it is kept, byte for byte (X-30, X-32)."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from typing import IO

from tasks_app.executors.base import Fenced, Output, Stop, StopReason

_CHUNK_BYTES = 64 * 1024
_QUIET_MILLISECONDS = 1000
# The largest pipe the kernel gives to a user: more than this cannot be left in it at the end.
_PIPE_BYTES = 1024 * 1024


class Streams(threading.Thread):
    """Stdout into RESULT and stderr into LOG, each chunk at once, drained until both end.

    One thread is enough for both, and not the one that attends the tree: what a disk holds up must
    not hold up a kill.
    """

    def __init__(self, stdout: IO[bytes], stderr: IO[bytes], output: Output, stop: Stop) -> None:
        super().__init__(name=f"pump-{stdout.fileno()}", daemon=True)
        self._error: Exception | None = None
        self._is_cut = False
        self._is_last = False
        self._stop_request = stop
        self._poller = select.poll()
        self._pipes = {
            stdout.fileno(): _Pipe(stdout, output.result),
            stderr.fileno(): _Pipe(stderr, output.log),
        }
        for descriptor in self._pipes:
            self._poller.register(descriptor, select.POLLIN)
        self.start()

    def check(self) -> None:
        """Raise what went wrong while delivering; since then a pipe is drained and not kept."""
        if self._error is not None:
            raise self._error

    def finish(self) -> bool:
        """Carry the rest, once the tree is gone; False: somebody outside of it holds a pipe."""
        self._is_last = True
        self.join()
        return not self._is_cut

    def run(self) -> None:
        while self._pipes:
            ready = self._poller.poll(_QUIET_MILLISECONDS)
            for descriptor, _ in ready:
                self._carry(descriptor)
            if not ready and self._is_last:
                self._is_cut = True
                for descriptor in list(self._pipes):
                    self._close(descriptor)

    def _carry(self, descriptor: int) -> None:
        """Hand on what is in one pipe now; close it at its end, or if it goes on for ever."""
        pipe = self._pipes[descriptor]
        data = os.read(descriptor, _CHUNK_BYTES)
        self._hand_on(pipe, data)
        pipe.budget -= len(data) if self._is_last else 0
        if pipe.budget <= 0:
            self._is_cut = True
        if pipe.budget <= 0 or not data:
            self._close(descriptor)

    def _close(self, descriptor: int) -> None:
        self._poller.unregister(descriptor)
        self._pipes.pop(descriptor).file.close()

    def _hand_on(self, pipe: _Pipe, data: bytes) -> None:
        """Deliver ``data``. A pipe nobody reads would block the content, so reading goes on."""
        if pipe.is_deaf or not data:
            return
        try:
            pipe.deliver(data)
        except Fenced:
            pipe.is_deaf = True
            self._stop_request.request(StopReason.FENCED)
        except Exception as error:  # raised again by ``check`` in the thread that runs the tree
            pipe.is_deaf = True
            self._error = self._error or error


class _Pipe:
    """One of the two; ``budget``: how many bytes more are taken once the tree is gone."""

    def __init__(self, file: IO[bytes], deliver: Callable[[bytes], None]) -> None:
        self.file = file
        self.deliver = deliver
        self.budget = _PIPE_BYTES
        self.is_deaf = False
