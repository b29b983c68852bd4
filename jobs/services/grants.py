"""Grants: which other apps' jobs may wait for a job (D-80)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from jobs import audit
from jobs.models import App, Grant, Job
from jobs.services.edits import locked_job


@transaction.atomic
def set_grants(job_id: int, app_names: Sequence[str], *, app: App, user: str, now: datetime) -> Job:
    """Let the apps of these names, and no others, wait for the job.

    Names are not looked up: which apps exist is nobody's business. A dependency that is there
    already stays when its grant goes.
    """
    job = locked_job(job_id, app)
    wanted = sorted(set(app_names))
    before = sorted(job.grants.values_list("app_name", flat=True))
    if wanted == before:
        return job
    job.grants.exclude(app_name__in=wanted).delete()
    Grant.objects.bulk_create(
        Grant(job=job, app_name=name) for name in wanted if name not in before
    )
    audit.record(
        "job.grant",
        job,
        app=app,
        user=user,
        now=now,
        before={"app_names": before},
        after={"app_names": wanted},
    )
    return job


@transaction.atomic
def change_grants(
    job_id: int, *, add: str = "", drop: str = "", app: App, user: str, now: datetime
) -> Job:
    """Let one more app wait for the job, or one fewer."""
    job = locked_job(job_id, app)
    names = {*job.grants.values_list("app_name", flat=True), *filter(None, [add])} - {drop}
    return set_grants(job_id, sorted(names), app=app, user=user, now=now)
