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
    """Return the tasks that do not have exactly one success."""
    won = Count("attempts", filter=Q(attempts__status=AttemptStatus.SUCCESS.value))
    return list(Task.objects.annotate(won=won).exclude(won=1).values_list("pk", flat=True))


def misprinted() -> tuple[list[int], list[int]]:
    """Return the tasks whose success printed something else, and those that lost their last words.

    A worker that is killed takes up to a second of output with it; an end that it had kept is
    reported by the next one.
    """
    wrong, cut = [], []
    for attempt in Attempt.objects.filter(status=AttemptStatus.SUCCESS.value):
        text = store.read_all(attempt.pk, StreamKind.RESULT).text
        if not text:
            cut.append(attempt.task_id)
        elif text != f"done {attempt.task_id}\n":
            wrong.append(attempt.task_id)
    return wrong, cut


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
        wrong, cut = misprinted()
        wrong += doubled()
        witnessed = Counter(WITNESS.read_text().split())
        ran = set(Task.objects.values_list("pk", flat=True))
    stack.figure(
        "crash.seconds",
        [taken],
        "s",
        tasks=TASKS,
        success=statuses[SUCCESS],
        wrong=sorted(set(wrong)),
        cut=len(cut),
        attempts=dict(attempts),
        run_again=sum(count > 1 for count in witnessed.values()),
    )
    # One worker was killed, so at most its own runs may have lost words.
    is_sound = statuses == {SUCCESS: TASKS} and not wrong and len(cut) <= stack.SLOTS
    return int(not is_sound or set(map(int, witnessed)) != ran)


if __name__ == "__main__":
    sys.exit(main())
