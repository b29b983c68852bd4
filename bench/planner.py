"""The planner by itself: slots opened per second, and what a tick costs when little is due."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import stack
from records import analyze, make_jobs, new_app, schedule

from jobs.models import App, ScheduleExpression
from sentinel_project import clock
from tasks_app import planner
from tasks_app.models import Task

EVERY_MINUTE, FAR_AWAY = "0 * * * * ?", "0 0 0 1 1 ? 2090"
FIRST_OF_FAR_AWAY = datetime(2090, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
ROUNDS = 20
DUE = 10


def seconds_of(work: Callable[..., object], now: datetime) -> float:
    began = clock.monotonic()
    work(now=now)
    return clock.monotonic() - began


def opening(app: App, now: datetime, count: int) -> datetime:
    """Open one slot of each of ``count`` jobs, several times; return the instant reached."""
    schedule(make_jobs(count, app, now=now), EVERY_MINUTE, first=now + MINUTE)
    rates = []
    for _ in range(6):
        now += MINUTE
        before = Task.objects.count()
        taken = seconds_of(planner.open_due, now)
        rates.append((Task.objects.count() - before) / taken)
    stack.figure("open.first_pass", rates[:1], "slots/s", jobs=count)
    stack.figure("open", rates[1:], "slots/s", jobs=count)
    return now


def ticks(app: App, now: datetime) -> None:
    """Time whole ticks with ever more jobs, of which the same ten are due."""
    ScheduleExpression.objects.update(next_due_at=None)
    schedule(make_jobs(DUE, app, now=now), EVERY_MINUTE, first=now + MINUTE)
    jobs, floor = DUE, 0.0
    for wanted in (100, 10_000, stack.scaled(100_000)):
        more = max(0, wanted - jobs)
        schedule(make_jobs(more, app, now=now), FAR_AWAY, first=FIRST_OF_FAR_AWAY)
        jobs += more
        analyze()
        planner.run_passes(now=now)
        busy, idle = [], []
        for _ in range(ROUNDS):
            now += MINUTE
            busy.append(seconds_of(planner.run_passes, now) * 1000)
            idle.append(seconds_of(planner.run_passes, now) * 1000)
        floor = floor or sorted(busy)[ROUNDS // 2]
        ratio = round(sorted(busy)[ROUNDS // 2] / floor, 2)
        stack.figure("tick.ten_due", busy, "ms", jobs=jobs, ratio=ratio)
        stack.figure("tick.none_due", idle, "ms", jobs=jobs)


def main() -> None:
    with stack.database():
        app, _ = new_app()
        now = clock.now().replace(second=0, microsecond=0)
        ticks(app, opening(app, now, stack.scaled(1000)))
    stack.table()


if __name__ == "__main__":
    main()
