"""What a process has loaded once it is ready, and keeps for good."""

from __future__ import annotations

import gc


def settle() -> None:
    """Leave all that is loaded by now out of every later collection.

    To look through the modules of Django and Celery stops a process for tens of milliseconds, at
    any time, and finds nothing; in a forked child it also copies every page of its parent's.
    """
    gc.collect()
    gc.freeze()
