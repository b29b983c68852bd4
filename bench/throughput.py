"""Tasks per second, end to end, beside the same number of Celery's own on the same broker."""

from __future__ import annotations

import importlib
import os
from datetime import datetime, timedelta
from pathlib import Path

import stack
from django.conf import settings
from records import ends, make_history, make_jobs, new_app, once, schedule, wait_for_ends

from jobs.models import App
from sentinel_project import clock

#: What is run how often: the name of the figure, the job's type and content.
KINDS = (
    ("dummy", "dummy", "{}", stack.scaled(1000)),
    ("bin_true", "shell", "/bin/true", stack.scaled(300)),
)
NO_OPS = stack.scaled(3000)
SLOTS = (1, 2, 4)


def ours(running: stack.Stack, app: App, count: int, **words: str) -> tuple[float, float]:
    """Return one-offs per second, from their due instant to the last one's end, and CPU s each."""
    jobs = make_jobs(count, app, now=clock.now(), is_one_off=True, **words)
    due_at = clock.now().replace(microsecond=0) + timedelta(seconds=4)
    schedule(jobs, once(due_at), first=due_at)
    before = running.cpu_seconds()
    wait_for_ends(running, jobs, "the one-offs' end", 300)
    spent = running.cpu_seconds() - before
    return count / (max(ends(jobs).values()) - due_at).total_seconds(), spent / count


def bare(running: stack.Stack, slots: int) -> tuple[float, float]:
    """Return Celery's no-ops per second, from the first publish to the last one's end, and CPU s.

    The publisher's CPU, which is this process's, is left out.
    """
    # A queue of its own each time: the last one went with its stack.
    name = stack.bare_queue(slots)
    os.environ["BENCH_BARE_QUEUE"] = name
    tasks = importlib.import_module("bare")
    queue = tasks.queue(name)
    ready, done = stack.PLACE / f"ready.{slots}", stack.PLACE / f"done.{slots}"
    running.keep("bare", stack.worker_command("bare", name, f"--concurrency={slots}"))
    tasks.note.apply_async((str(ready),), queue=queue)
    running.wait(ready.exists, "the bare worker")
    before, began = running.cpu_seconds(), clock.now()
    for _ in range(NO_OPS):
        tasks.nothing.apply_async(queue=queue)
    tasks.note.apply_async((str(done),), queue=queue)
    running.wait(done.exists, "the no-ops' end")
    spent = running.cpu_seconds() - before
    taken = datetime.fromisoformat(done.read_text()) - began
    return NO_OPS / taken.total_seconds(), spent / NO_OPS


def measure(slots: int) -> None:
    with stack.running(slots=slots) as running:
        app, _ = new_app()
        make_history(stack.OPTIONS.history, app)
        floor, floor_cpu = bare(running, slots)
        words = {"slots": slots, "cpu_ms": round(floor_cpu * 1000, 2)}
        stack.figure("bare.celery", [floor], "tasks/s", tasks=NO_OPS, **words)
        for name, job_type, content, count in KINDS:
            what = {"job_type": job_type, "content": content}
            ours(running, app, max(20, count // 10), **what)  # to warm up
            rate, cpu = ours(running, app, count, **what)
            words = {"slots": slots, "cpu_ms": round(cpu * 1000, 2)}
            ratio = round(rate / floor, 3)
            stack.figure(f"{name}.one_offs", [rate], "tasks/s", tasks=count, ratio=ratio, **words)


def main() -> None:
    os.environ |= {
        "BENCH_BARE_BROKER": settings.CELERY_BROKER_URL,
        "PYTHONPATH": str(Path(__file__).parent),
    }
    for slots in SLOTS:
        measure(slots)
    stack.table()


if __name__ == "__main__":
    main()
