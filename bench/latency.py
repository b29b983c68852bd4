"""From a cause to the start it leads to: a submission, an upstream's end, a due instant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import stack
from records import (
    depend,
    ends,
    make_history,
    make_jobs,
    new_app,
    once,
    schedule,
    starts,
    wait_for_ends,
)

from jobs.models import App, Job
from logs_app import store
from logs_app.models import StreamKind
from sentinel_project import clock
from tasks_app.models import Attempt

MILLISECOND = timedelta(milliseconds=1)


def milliseconds(spans: Iterable[tuple[datetime, datetime]]) -> list[float]:
    return [(end - begin) / MILLISECOND for begin, end in spans]


def soon(seconds: int) -> datetime:
    """Return a whole second that lies ``seconds`` ahead."""
    return clock.now().replace(microsecond=0) + timedelta(seconds=seconds + 1)


def submit_to_start(running: stack.Stack, app: App, key: str, job_type: str) -> None:
    """One-offs, one after the other; a shell's content tells the instant it runs itself."""
    answered, started, spoke = [], [], []
    for number in range(stack.scaled(50)):
        asked_at = clock.now()
        name = f"{job_type} {number}"
        content = "date +%s.%N" if job_type == "shell" else "{}"
        job_id = running.submit(
            app.name, key, jobName=name, jobType=job_type, content=content, isTemp=True
        )
        answered.append((asked_at, clock.now()))
        job = Job.objects.get(pk=job_id)
        wait_for_ends(running, [job], "a one-off's end", 60)
        started.append((asked_at, starts([job])[job_id]))
        if job_type == "shell":
            spoke.append((asked_at, _said(job)))
    stack.figure(f"submit_to_answer.{job_type}", milliseconds(answered), "ms")
    stack.figure(f"submit_to_start.{job_type}", milliseconds(started), "ms")
    if spoke:
        stack.figure(f"submit_to_first_command.{job_type}", milliseconds(spoke), "ms")


def _said(job: Job) -> datetime:
    attempt = Attempt.objects.get(task__job=job)
    text = store.read_all(attempt.pk, StreamKind.RESULT).text
    return datetime.fromtimestamp(float(text), tz=clock.now().tzinfo)


def child(running: stack.Stack, app: App) -> None:
    """Children with ``cd`` on parents that are due one by one."""
    now = clock.now()
    parents = make_jobs(stack.scaled(20), app, now=now)
    children = make_jobs(len(parents), app, now=now)
    depend(zip(parents, children, strict=True))
    for number, parent in enumerate(parents):
        due_at = soon(3 + number)
        schedule([parent], once(due_at), first=due_at)
    wait_for_ends(running, children, "the children's ends", 120)
    _report("end_to_start.child", list(zip(parents, children, strict=True)))


def chain(running: stack.Stack, app: App, *, is_one_off: bool) -> None:
    """A chain of 50: of jobs named by their upstream, or of one-offs that wait for each other."""
    due_at = soon(4)
    jobs = make_jobs(stack.scaled(50), app, now=clock.now())
    links = list(pairwise(jobs))
    if is_one_off:
        Job.objects.filter(pk__in=[job.pk for job in jobs[1:]]).update(is_one_off=True)
        schedule(jobs[1:], once(due_at), first=due_at)
        due_at += timedelta(seconds=3)
    depend(links, offset="cd")
    schedule(jobs[:1], once(due_at), first=due_at)
    wait_for_ends(running, jobs, "the chain's end", 180)
    _report("end_to_start.chain" + ("_of_one_offs" if is_one_off else ""), links)


def _report(name: str, pairs: Sequence[tuple[Job, Job]]) -> None:
    ended = ends([upstream for upstream, _ in pairs])
    started = starts([job for _, job in pairs])
    spans = [(ended[upstream.pk], started[job.pk]) for upstream, job in pairs]
    stack.figure(name, milliseconds(spans), "ms")


def burst(running: stack.Stack, app: App, count: int) -> None:
    """Jobs that are all due at one instant."""
    jobs = make_jobs(count, app, now=clock.now())
    due_at = soon(4)
    schedule(jobs, once(due_at), first=due_at)
    wait_for_ends(running, jobs, "the burst's end", 300)
    spans = [(due_at, at) for at in starts(jobs).values()]
    stack.figure(f"due_to_start.{count}_at_once", milliseconds(spans), "ms")


def main() -> None:
    with stack.running() as running:
        app, key = new_app()
        make_history(stack.OPTIONS.history, app)
        submit_to_start(running, app, key, "dummy")
        submit_to_start(running, app, key, "shell")
        child(running, app)
        chain(running, app, is_one_off=True)
        burst(running, app, 50)
        burst(running, app, stack.scaled(1000))
        chain(running, app, is_one_off=False)
    stack.table()


if __name__ == "__main__":
    main()
