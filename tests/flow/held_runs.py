"""Runs that are held, each by another reason: what explain is asked about."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.test import TestCase

from jobs.models import App, Job, WorkerGroup
from jobs.rules.enums import JobStatus, MisfirePolicy
from jobs.services import set_status, skip_slot
from tasks_app import dispatcher, services, workers
from tasks_app.models import Task
from tasks_app.rules.states import AttemptStatus
from tests.engine import ANN, after, at, begin, cron, run, submit, task_of, tick

START, DUE = at("2 00:00"), at("2 01:00")
SOON = DUE + timedelta(minutes=5)
DAILY = (cron("0 0 1 * * ?"),)
HOURLY = (cron("0 0 * * * ?"),)
FAILED = AttemptStatus.FAILED

#: A run, by its job and due time, at an instant.
Subject = tuple[Job, datetime, datetime]


def a_worker(now: datetime) -> None:
    registration = workers.Registration(
        name="w1", host="h", pid=1, pool="prefork", slots=4, group_ids=[1], containment=""
    )
    workers.register(registration, now=now)


def opened(app: App, *, name: str = "job", **words: Any) -> Job:
    """Submit a daily job and open its first run."""
    job = submit(app, name, now=START, **{"schedule": DAILY} | words)
    tick(DUE)
    return job


def switch(job: Job, status: JobStatus, now: datetime = SOON) -> None:
    set_status(job.pk, status, app=job.app, user=ANN, now=now)


# -- what can hold a run, one function a reason ----------------------------------------------------


def paused(app: App) -> Subject:
    job = opened(app)
    switch(job, JobStatus.PAUSED)
    return job, DUE, SOON


def disabled(app: App) -> Subject:
    job = submit(app, "job", now=START, schedule=DAILY)
    switch(job, JobStatus.DISABLED, START)
    return job, DUE, SOON


def trashed(app: App) -> Subject:
    job = submit(app, "job", now=START, schedule=DAILY)
    switch(job, JobStatus.TRASHED, START)
    return job, DUE, SOON


def outside_the_active_window(app: App) -> Subject:
    return submit(app, "job", now=START, schedule=DAILY, active_from=at("3 00:00")), DUE, SOON


def no_slot(app: App) -> Subject:
    return opened(app), DUE + timedelta(minutes=1), SOON


def skipped_by_policy(app: App) -> Subject:
    job = submit(app, "job", now=START, schedule=HOURLY, misfire_policy=MisfirePolicy.SKIP)
    tick(at("2 05:30"))
    return job, DUE, at("2 05:30")


def expired_before_it_was_opened(app: App) -> Subject:
    job = submit(app, "job", now=START, schedule=HOURLY, expire_after=timedelta(hours=1))
    tick(at("2 05:30"))
    return job, DUE, at("2 05:30")


def marked_to_be_skipped(app: App) -> Subject:
    job = submit(app, "job", now=START, schedule=DAILY)
    skip_slot(job.pk, DUE, app=app, user=ANN, reason="", now=START)
    return job, DUE, START


def not_due(app: App) -> Subject:
    return opened(app), at("3 01:00"), SOON


def not_opened(app: App) -> Subject:
    return submit(app, "job", now=START, schedule=DAILY), DUE, SOON


def not_named(app: App) -> Subject:
    """A run of a job without a schedule, whose upstream's run has not ended."""
    upstream = submit(app, "upstream", now=START, schedule=DAILY)
    job = submit(app, "job", now=START, dependencies=(after(upstream, ""),))
    tick(DUE)
    return job, DUE, SOON


def not_opened_in_a_paused_system(app: App) -> Subject:
    services.set_system_paused(True, app=app, user=ANN, now=START)
    return opened(app), DUE, SOON


def upstream(app: App, *, schedule: Any = DAILY, now: datetime = START) -> Job:
    return submit(app, "upstream", now=now, schedule=schedule)


def upstream_is_not_done(app: App) -> Subject:
    return opened(app, dependencies=(after(upstream(app)),)), DUE, SOON


def upstream_is_not_opened(app: App) -> Subject:
    later = upstream(app, schedule=(cron("0 0 9 * * ?"),))
    return opened(app, dependencies=(after(later),)), DUE, SOON


def upstream_failed(app: App) -> Subject:
    failing = upstream(app)
    job = opened(app, dependencies=(after(failing),))
    run(task_of(failing, DUE), FAILED, now=DUE)
    return job, DUE, SOON


def empty_window(app: App) -> Subject:
    thursdays = upstream(app, schedule=(cron("0 30 1 ? * THU"),))
    return opened(app, dependencies=(after(thursdays, "ch"),)), DUE, SOON


def serial(app: App, now: datetime, **words: Any) -> Job:
    job = submit(app, "job", now=START, **{"schedule": HOURLY, "is_serial": True} | words)
    for hour in range(now.hour + 1):
        tick(now.replace(hour=hour, minute=0))
    return job


def predecessor_is_not_done(app: App) -> Subject:
    return serial(app, SOON), DUE, SOON


def predecessor_failed(app: App) -> Subject:
    job = serial(app, START)
    run(task_of(job, START), FAILED, now=START)
    tick(DUE)
    return job, DUE, SOON


def predecessor_is_in_a_capped_gap(app: App) -> Subject:
    minutely = (cron("* * * * *"),)
    job = submit(app, "job", now=START, schedule=minutely, is_serial=True)
    now = at("2 03:00")
    tick(now)
    first = Task.objects.filter(job=job).order_by("due_at")[0]
    return job, first.due_at, now


def expired(app: App) -> Subject:
    job = opened(app, expire_after=timedelta(minutes=1))
    tick(SOON)
    return job, DUE, SOON


def ready_in_a_paused_system(app: App) -> Subject:
    job = opened(app)
    services.set_system_paused(True, app=app, user=ANN, now=SOON)
    return job, DUE, SOON


def app_runs_all_it_may(app: App) -> Subject:
    App.objects.filter(pk=app.pk).update(max_concurrency=1)
    begin(task_of(opened(app, name="busy"), DUE), now=DUE)
    return opened(app), DUE, SOON


def app_is_disabled(app: App) -> Subject:
    job = opened(app)
    App.objects.filter(pk=app.pk).update(is_enabled=False)
    return job, DUE, SOON


def group_is_disabled(app: App) -> Subject:
    WorkerGroup.objects.filter(pk=1).update(is_enabled=False)
    return opened(app), DUE, SOON


def nobody_works(app: App) -> Subject:
    return opened(app), DUE, SOON


def waits_out_its_interval(app: App) -> Subject:
    a_worker(SOON)
    job = opened(app, max_retries=1, retry_interval=timedelta(hours=1))
    run(task_of(job, DUE), FAILED, now=DUE)
    return job, DUE, SOON


def queues_for_a_slot(app: App) -> Subject:
    a_worker(SOON)
    return opened(app), DUE, SOON


def rung_and_not_taken(app: App) -> Subject:
    a_worker(SOON)
    job = opened(app)
    assert dispatcher.ring(now=SOON)
    return job, DUE, SOON


def another_run_of_it_goes_on(app: App) -> Subject:
    job = opened(app, is_serial=True)
    begin(services.run_now(job.pk, app=app, user=ANN, now=SOON), now=SOON)
    return job, DUE, SOON


def the_one_before_it_in_its_batch(app: App) -> Subject:
    job = serial(app, SOON)
    with TestCase.captureOnCommitCallbacks(execute=True):  # which is when they are looked at
        services.rerun([job.pk], START, DUE, app=app, user=ANN, now=SOON)
    return job, DUE, SOON


def its_upstream_in_its_batch(app: App) -> Subject:
    first = upstream(app)
    job = opened(app, dependencies=(after(first),))
    services.rerun([first.pk, job.pk], START, SOON, app=app, user=ANN, now=SOON)
    return job, DUE, SOON
