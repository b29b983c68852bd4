"""The command line of the web process."""

from __future__ import annotations

import sys

WORKER_CLASS = "sentinel_project.serving.worker.Worker"


def web_command(address: str, *more: str, workers: int = 2, threads: int = 16) -> list[str]:
    """Return the command that serves at ``address``, ``host:port``; ``more`` goes to gunicorn."""
    return [
        *(sys.executable, "-m", "gunicorn", "sentinel_project.wsgi:application"),
        *("--bind", address, "--no-control-socket", "--worker-class", WORKER_CLASS),
        *("--workers", str(workers), "--threads", str(threads), *more),
    ]
