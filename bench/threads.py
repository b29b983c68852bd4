"""200 running jobs under one worker process: memory for each, and one heartbeat for all."""

from __future__ import annotations

import sys
from datetime import timedelta

import psutil
import stack
from django.conf import settings
from records import make_jobs, new_app, once, schedule

from jobs.models import WorkerGroup
from sentinel_project import clock
from tasks_app.models import Attempt, Worker
from tasks_app.rules.states import AttemptStatus

COUNT = stack.scaled(200)
GROUP = 2
LIVE = AttemptStatus.RUNNING.value
MEGABYTE = 1 << 20
_STARTED_WITHIN = 400


def main() -> int:
    with stack.running() as running:
        app, _ = new_app()
        WorkerGroup.objects.create(pk=GROUP, name="threads")
        command = stack.worker_command("sentinel_project.celery", f"{stack.NAME}.threads")
        pool = ["-P", "threads", "-c", str(COUNT)]
        running.keep("threads", ["env", f"SENTINEL_WORKER_GROUPS={GROUP}", *command, *pool])
        running.wait(lambda: Worker.objects.filter(pool="thread").exists(), "the worker")
        worker = psutil.Process(Worker.objects.get(pool="thread").pid)
        before = worker.memory_info().rss
        words = {"job_type": "shell", "content": "exec sleep 600", "worker_group_id": GROUP}
        jobs = make_jobs(COUNT, app, now=clock.now(), is_one_off=True, **words)
        due_at = clock.now().replace(microsecond=0) + timedelta(seconds=3)
        schedule(jobs, once(due_at), first=due_at)
        live = Attempt.objects.filter(status=LIVE)
        running.wait(lambda: live.count() == COUNT, "all of them", _STARTED_WITHIN)
        # Claims have leases of their own; the next two heartbeats are of all.
        seen: set[object] = set()
        beats = settings.SENTINEL_HEARTBEAT.total_seconds()
        began = clock.monotonic()
        while clock.monotonic() - began < 4 * beats:
            running.wait(lambda: True, "a moment")
            leases = set(live.values_list("lease_until", flat=True))
            seen |= leases if len(leases) == 1 else set()
        each = (worker.memory_info().rss - before) / MEGABYTE / COUNT
        more = {"jobs": COUNT, "running": live.count(), "threads": worker.num_threads()}
        stack.figure("threads.memory_per_job", [each], "MB", **more)
        stack.figure("threads.heartbeats", [len(seen) / (4 * beats)], "statements/s")
    return int(not seen)


if __name__ == "__main__":
    sys.exit(main())
