"""kill -9 of worker, beat and broker in the middle of 200 tasks: all end once, and none is lost."""

from __future__ import annotations

import sys
from collections import Counter
from datetime import timedelta
from functools import partial

import stack
from django.db.models import Count, Q
from records import make_jobs, new_app, once, schedule

from logs_app import store
from logs_app.models import StreamKind
from sentinel_project import clock
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import AttemptStatus, TaskStatus

TASKS = stack.scaled(200)
WITNESS = stack.PLACE / "witness"
CONTENT = f"""
echo $SENTINEL_TASK_ID >> {WITNESS}
sleep 0.3
echo done $SENTINEL_TASK_ID
"""
SUCCESS = TaskStatus.SUCCESS.value
#: What is killed, and when: with how many of a hundred at their end. A server is not ours to kill.
BLOWS = (
    (25, "sentinel_project.celery worker"),
    (45, "sentinel_project.celery beat"),
    (65, "broker.sock"),
)


def strike(running: stack.Stack) -> float:
    """Kill every part in its turn while tasks run; return seconds until all have ended."""
    began = clock.monotonic()
    for percent, part in BLOWS[: 2 if stack.OPTIONS.stack == "server" else 3]:
        running.wait(partial(has_ended, TASKS * percent // 100), f"{percent} %", 300)
        running.kill(part)
    running.wait(partial(has_ended, TASKS), "the last end", 300)
    return clock.monotonic() - began


def has_ended(count: int) -> bool:
    return Task.objects.filter(ended_at__isnull=False).count() >= count


def doubled() -> list[int]:
    """Return the tasks that do not have exactly one success, with what it printed."""
    won = Count("attempts", filter=Q(attempts__status=AttemptStatus.SUCCESS.value))
    odd = set(Task.objects.annotate(won=won).exclude(won=1).values_list("pk", flat=True))
    for attempt in Attempt.objects.filter(status=AttemptStatus.SUCCESS.value):
        text = store.read_all(attempt.pk, StreamKind.RESULT).text
        if text != f"done {attempt.task_id}\n":
            odd.add(attempt.task_id)
    return sorted(odd)


def main() -> int:
    with stack.running(beats=2) as running:
        app, _ = new_app()
        words = {"job_type": "shell", "content": CONTENT, "max_retries": 3}
        jobs = make_jobs(TASKS, app, now=clock.now(), retry_interval=timedelta(seconds=1), **words)
        due_at = clock.now().replace(microsecond=0) + timedelta(seconds=3)
        schedule(jobs, once(due_at), first=due_at)
        taken = strike(running)
        statuses = Counter(Task.objects.values_list("status", flat=True))
        attempts = Counter(Attempt.objects.values_list("status", flat=True))
        wrong = doubled()
        witnessed = Counter(WITNESS.read_text().split())
    stack.figure(
        "crash.seconds",
        [taken],
        "s",
        tasks=TASKS,
        success=statuses[SUCCESS],
        wrong=wrong,
        attempts=dict(attempts),
        run_again=sum(count > 1 for count in witnessed.values()),
    )
    return int(statuses != {SUCCESS: TASKS} or bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
