"""Workers restarted 20 times, in turn, under load: nothing fails, and nothing is lost, for it."""

from __future__ import annotations

import signal
import sys
from collections import Counter
from datetime import timedelta
from functools import partial

import psutil
import stack
from records import make_jobs, new_app, once, schedule

from sentinel_project import clock, supervisor
from tasks_app.models import Attempt, Task, Worker
from tasks_app.rules.states import TaskStatus

RESTARTS = stack.scaled(20)
#: Enough that some run at every restart; most outlast the drain of a second, and none may retry.
TASKS = RESTARTS * 12
CONTENT = "sleep $((SENTINEL_TASK_ID % 4)); echo done"
NODES = ("one", "two")
SUCCESS = TaskStatus.SUCCESS.value
# Restarted on purpose, every few seconds, is not crashing.
supervisor._LONGEST_PAUSE = 1.0


def pid_of(node: str) -> int:
    return Worker.objects.get(name__startswith=f"{stack.NAME}.{node}@", stopped_at=None).pid


def is_new(node: str, pid: int) -> bool:
    rows = Worker.objects.filter(name__startswith=f"{stack.NAME}.{node}@", stopped_at=None)
    return rows.exclude(pid=pid).exists()


def restart(running: stack.Stack, number: int) -> None:
    """Tell a worker to stop, by turns politely and at once, and wait for its successor."""
    node = NODES[number % 2]
    pid = pid_of(node)
    how = signal.SIGTERM if number % 4 < 2 else signal.SIGQUIT
    psutil.Process(pid).send_signal(how)
    running.wait(partial(is_new, node, pid), f"restart {number}", 120)


def main() -> int:
    with stack.running() as running:
        app, _ = new_app()
        for node, pool in zip(NODES, ("prefork", "threads"), strict=True):
            name = f"{stack.NAME}.{node}"
            command = stack.worker_command("sentinel_project.celery", name, "-P", pool, "-c", "4")
            running.keep(node, command)
        running.wait(lambda: Worker.objects.count() == 3, "the workers")
        jobs = make_jobs(TASKS, app, now=clock.now(), job_type="shell", content=CONTENT)
        due_at = clock.now().replace(microsecond=0) + timedelta(seconds=3)
        began = clock.monotonic()
        schedule(jobs, once(due_at), first=due_at)
        for number in range(RESTARTS):
            restart(running, number)
        taken = clock.monotonic() - began
        ended = Task.objects.filter(ended_at__isnull=False)
        running.wait(lambda: ended.count() == TASKS, "the last end", 600)
        statuses = Counter(Task.objects.values_list("status", flat=True))
        back = Attempt.objects.filter(reason="SHUTDOWN").count()
    more = {"tasks": TASKS, "success": statuses[SUCCESS], "handed_back": back}
    stack.figure("rolling.restart", [taken / RESTARTS], "s", restarts=RESTARTS, **more)
    return int(statuses != {SUCCESS: TASKS})


if __name__ == "__main__":
    sys.exit(main())
