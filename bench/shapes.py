"""Loads of the shapes that break schedulers, each to its end: nothing lost, nothing twice.

Its exit code says whether every task ended SUCCESS at its first try and the ledger is whole.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from itertools import pairwise

import stack
from records import depend, make_jobs, new_app, once, schedule, wait_for_ends

from jobs.models import App, Job
from sentinel_project import clock
from tasks_app.models import Task
from tasks_app.rules.states import TaskStatus
from tasks_app.verify import verify

ONE_OFFS, AT_ONCE = stack.scaled(10_000), stack.scaled(1_000)
CHAIN, FAN_IN, FAN_OUT = stack.scaled(100), stack.scaled(200), stack.scaled(500)
CLIENTS = 8
WITHIN = 600


def burst(running: stack.Stack, app: App, key: str) -> int:
    """Submit one-offs over REST as fast as they are taken."""
    began = clock.now()

    def submit(number: int) -> int:
        words = {"jobName": f"burst {number}", "jobType": "dummy", "content": "{}"}
        return running.submit(app.name, key, isTemp=True, **words)

    with ThreadPoolExecutor(CLIENTS) as pool:
        ids = list(pool.map(submit, range(ONE_OFFS)))
    taken = (clock.now() - began).total_seconds()
    stack.figure("burst.submitted", [ONE_OFFS / taken], "jobs/s", jobs=ONE_OFFS)
    jobs = list(Job.objects.filter(pk__in=ids))
    wait_for_ends(running, jobs, "the burst's end", WITHIN)
    return _told("burst.to_last_end", jobs, began)


def due_at_once(running: stack.Stack, app: App) -> int:
    """Jobs that are all due in the same second."""
    jobs = make_jobs(AT_ONCE, app, now=clock.now())
    return _run(running, "due_at_once.to_last_end", jobs, first=jobs)


def chain(running: stack.Stack, app: App) -> int:
    jobs = make_jobs(CHAIN, app, now=clock.now())
    depend(pairwise(jobs))
    return _run(running, "chain.to_last_end", jobs, first=jobs[:1])


def fan_in(running: stack.Stack, app: App) -> int:
    *upstreams, last = make_jobs(FAN_IN + 1, app, now=clock.now())
    depend((upstream, last) for upstream in upstreams)
    return _run(running, "fan_in.to_last_end", [*upstreams, last], first=upstreams)


def fan_out(running: stack.Stack, app: App) -> int:
    first, *dependents = make_jobs(FAN_OUT + 1, app, now=clock.now())
    depend((first, dependent) for dependent in dependents)
    return _run(running, "fan_out.to_last_end", [first, *dependents], first=[first])


def _run(running: stack.Stack, name: str, jobs: Sequence[Job], *, first: Sequence[Job]) -> int:
    due_at = clock.now().replace(microsecond=0) + timedelta(seconds=4)
    schedule(first, once(due_at), first=due_at)
    wait_for_ends(running, jobs, name, WITHIN)
    return _told(name, jobs, due_at)


def _told(name: str, jobs: Sequence[Job], began: datetime) -> int:
    """Print how long it took and how it ended; return how many tasks did not end as they should."""
    tasks = Task.objects.filter(job__in=jobs)
    ends = [at for at in tasks.values_list("ended_at", flat=True) if at is not None]
    sound = tasks.filter(status=TaskStatus.SUCCESS.value, attempt_count=1)
    bad = abs(len(jobs) - sound.count()) + abs(len(jobs) - tasks.count())
    took = (max(ends) - began).total_seconds()
    stack.figure(name, [took], "s", jobs=len(jobs), success=sound.count(), unsound=bad)
    return bad


def main() -> int:
    with stack.running(beats=2) as running:
        app, key = new_app()
        bad = burst(running, app, key)
        for shape in (due_at_once, chain, fan_in, fan_out):
            bad += shape(running, app)
        findings = verify(now=clock.now())
        stack.figure("verify.slots", [findings.expected], "slots", is_well=findings.is_well)
    stack.table()
    return int(bad > 0 or not findings.is_well)


if __name__ == "__main__":
    sys.exit(main())
