"""Tasks per second, end to end, beside the same number of Celery's own on the same broker."""

from __future__ import annotations

import importlib
import os
from datetime import datetime, timedelta
from pathlib import Path

import stack
from django.conf import settings
from records import ends, make_jobs, new_app, once, schedule, starts, wait_for_ends

from jobs.models import App
from sentinel_project import clock

COUNT = stack.scaled(1000)
QUEUE = f"{stack.NAME}.bare"


def ours(running: stack.Stack, app: App) -> float:
    """Return one-offs per second, from their due instant to the last one's end."""
    jobs = make_jobs(COUNT, app, now=clock.now(), is_one_off=True)
    due_at = clock.now().replace(microsecond=0) + timedelta(seconds=5)
    schedule(jobs, once(due_at), first=due_at)
    wait_for_ends(running, jobs, "the one-offs' end", 300)
    first_start, last_end = min(starts(jobs).values()), max(ends(jobs).values())
    stack.figure("dummy.to_first_start", [(first_start - due_at) / timedelta(milliseconds=1)], "ms")
    return COUNT / (last_end - due_at).total_seconds()


def bare(running: stack.Stack) -> float:
    """Return Celery's no-ops per second, from the first publish to the last one's end."""
    os.environ |= {
        "BENCH_BARE_BROKER": settings.CELERY_BROKER_URL,
        "BENCH_BARE_QUEUE": QUEUE,
        "PYTHONPATH": str(Path(__file__).parent),
    }
    tasks = importlib.import_module("bare")
    concurrency = f"--concurrency={settings.CELERY_WORKER_CONCURRENCY}"
    running.keep("bare", stack.worker_command("bare", QUEUE, concurrency))
    ready, done = stack.PLACE / "ready", stack.PLACE / "done"
    tasks.note.delay(str(ready))
    running.wait(ready.exists, "the bare worker")
    began = clock.now()
    for _ in range(COUNT):
        tasks.nothing.delay()
    tasks.note.delay(str(done))
    running.wait(done.exists, "the no-ops' end")
    return COUNT / (datetime.fromisoformat(done.read_text()) - began).total_seconds()


def main() -> None:
    with stack.running() as running:
        app, _ = new_app()
        ours(running, app)  # once to warm up
        rate = ours(running, app)
        floor = bare(running)
        stack.figure("bare.celery", [floor], "tasks/s", tasks=COUNT)
        ratio = round(rate / floor, 3)
        stack.figure("dummy.one_offs", [rate], "tasks/s", tasks=COUNT, floor=floor, ratio=ratio)


if __name__ == "__main__":
    main()
