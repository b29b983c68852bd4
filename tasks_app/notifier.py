"""The thread that tells others, beside a beat: never in the engine's way, never behind full slots.

Any number of beats may have one: each delivery is claimed before it is sent.
"""

from __future__ import annotations

import logging
import threading

from django.db import connection

from sentinel_project import clock, timekeeping
from tasks_app import notices

logger = logging.getLogger(__name__)

_PAUSE = 1.0
_PAUSE_AFTER_FAULT = 5.0
_WATCH_EVERY = 10.0


class Notifier:
    """Runs the passes again and again until it is stopped."""

    def __init__(self) -> None:
        self._stopping = threading.Event()
        self._watch_at = 0.0
        self._thread = threading.Thread(target=self._run, name="notifier", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stop after the pass; what it was sending is sent again when its lease is over."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout=1)

    def _watch(self) -> None:
        """Look for what leaves no change, which costs more than to look for what does."""
        if clock.monotonic() < self._watch_at:
            return
        self._watch_at = clock.monotonic() + _WATCH_EVERY
        notices.watch_unopened(now=clock.now())
        notices.watch_system(now=clock.now())

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            try:
                timekeeping.agree()
                self._watch()
                # As long as there is much to send, there is no pause.
                pause = 0.0 if notices.run_once(clock.now) else _PAUSE
            except Exception:
                logger.exception("notifier.failed")
                connection.close()
                pause = _PAUSE_AFTER_FAULT
        connection.close()
