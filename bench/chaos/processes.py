"""Processes of the installation, looked at from outside."""

from __future__ import annotations

import psutil

from chaos import place


def survivors() -> list[str]:
    """Return the living processes of this place's runs."""
    mark = str(place.PLACE)
    found = []
    for process in psutil.process_iter():
        words = " ".join(words_of(process))
        if "SENTINEL_TASK_ID" in _environ_of(process) and mark in str(_environ_of(process)):
            found.append(f"{process.pid} {words}")
    return found


def forks(process: psutil.Process) -> bool:
    """Tell whether a child of a worker is what forks the guards of runs."""
    return "forkserver.main()" in " ".join(words_of(process))


def words_of(process: psutil.Process) -> list[str]:
    """Return its command line, empty if it is gone."""
    try:
        return process.cmdline()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return []


def _environ_of(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ() if process.status() != psutil.STATUS_ZOMBIE else {}
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return {}
