"""How long a rehearsal takes: a week of 100 hourly jobs through ``manage.py simulate``."""

from __future__ import annotations

import json
import subprocess
import sys

import stack
from django.conf import settings

from sentinel_project import clock

JOBS = stack.scaled(100)


def document() -> str:
    """Return a week in which every job runs hourly, a few minutes after the one before it."""
    jobs = [
        {
            "id": f"J{number}",
            "schedule": [{"type": 1, "expression": f"0 {number % 60} * * * ?"}],
            "duration": 60,
        }
        for number in range(JOBS)
    ]
    span = {"start": "2026-03-02T00:00:00", "until": "2026-03-09T00:00:00"}
    return json.dumps({"zone": "Asia/Shanghai", **span, "jobs": jobs})


def main() -> None:
    began = clock.monotonic()
    done = subprocess.run(
        [sys.executable, "manage.py", "simulate", "-"],
        input=document(),
        cwd=settings.BASE_DIR,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=600,
    )
    taken = clock.monotonic() - began
    tasks = len(json.loads(done.stdout)["tasks"])
    stack.figure("simulate.week", [taken], "s", jobs=JOBS, tasks=tasks, ratio=tasks / taken)


if __name__ == "__main__":
    main()
