"""Two threads that carry what a tree prints to where it is kept, byte for byte (X-30, X-32)."""

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


class Streams:
    """Stdout into RESULT and stderr into LOG, drained until both end."""

    def __init__(self, stdout: IO[bytes], stderr: IO[bytes], output: Output, stop: Stop) -> None:
        self._pumps = (_Pump(stdout, output.result, stop), _Pump(stderr, output.log, stop))
        for pump in self._pumps:
            pump.start()

    def check(self) -> None:
        """Raise what went wrong while delivering; since then a pipe is drained and not kept."""
        for pump in self._pumps:
            if pump.error is not None:
                raise pump.error

    def finish(self) -> bool:
        """Carry the rest, once the tree is gone; False: somebody outside of it holds a pipe."""
        for pump in self._pumps:
            pump.finish()
        return not any(pump.is_cut for pump in self._pumps)


class _Pump(threading.Thread):
    """Reads one pipe until its end and hands on each chunk at once."""

    def __init__(self, pipe: IO[bytes], deliver: Callable[[bytes], None], stop: Stop) -> None:
        super().__init__(name=f"pump-{pipe.fileno()}", daemon=True)
        self.error: Exception | None = None
        self.is_cut = False
        self._pipe = pipe
        self._deliver = deliver
        self._stop_request = stop
        self._is_deaf = False
        self._is_last = threading.Event()

    def run(self) -> None:
        with self._pipe:
            poller = select.poll()
            poller.register(self._pipe, select.POLLIN)
            budget = _PIPE_BYTES
            while not self.is_cut:
                if poller.poll(_QUIET_MILLISECONDS):
                    data = os.read(self._pipe.fileno(), _CHUNK_BYTES)
                    if not data:
                        return
                    self._hand_on(data)
                    budget -= len(data) if self._is_last.is_set() else 0
                    self.is_cut = budget <= 0
                else:
                    self.is_cut = self._is_last.is_set()

    def finish(self) -> None:
        self._is_last.set()
        self.join()

    def _hand_on(self, data: bytes) -> None:
        """Deliver ``data``. A pipe nobody reads would block the content, so reading goes on."""
        if self._is_deaf:
            return
        try:
            self._deliver(data)
        except Fenced:
            self._is_deaf = True
            self._stop_request.request(StopReason.FENCED)
        except Exception as error:  # raised again by ``check`` in the thread that runs the tree
            self._is_deaf = True
            self.error = error
