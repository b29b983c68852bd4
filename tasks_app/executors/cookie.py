"""The mark that every process of a run carries in its environment, to be found by from outside."""

from __future__ import annotations

from collections.abc import Iterator

import psutil

COOKIE = "SENTINEL_COOKIE"


def marked(cookie: str) -> Iterator[psutil.Process]:
    """Yield every living process that carries ``cookie`` in its environment.

    The last resort, for the day somebody killed the first process of a tree.
    """
    return (process for process, found in members() if found[COOKIE] == cookie)


def members() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """Yield every living process that any worker here started, and its environment."""
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if COOKIE in environment and process.status() != psutil.STATUS_ZOMBIE:
                yield process, environment
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            # Ended meanwhile, or of another user and so not started by us.
            continue
