"""What must be right for Sentinel to work: one list of checks for /readyz and ``doctor``."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Q
from django.http import HttpRequest, JsonResponse

from jobs.models import DEFAULT_GROUP_ID, Job, WorkerGroup
from jobs.rules.enums import JobStatus
from jobs.selectors import set_aside
from sentinel_project import broker, clock
from sentinel_project.kept import Kept
from tasks_app import schedulers, workers

logger = logging.getLogger(__name__)

_LEAST_FREE_BYTES = 512 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: ``trouble`` empty means it is well; ``mend`` says what to do."""

    name: str
    trouble: str = ""
    mend: str = ""

    @property
    def is_well(self) -> bool:
        return not self.trouble


def healthz(request: HttpRequest) -> JsonResponse:
    """GET /healthz: the process is up, whatever it needs may not be."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """GET /readyz: every check by name; 503 unless all are well.

    It asks no password, so it is looked once a second however many ask.
    """
    findings = KEPT.value()
    is_ready = all(finding.is_well for finding in findings)
    body = {
        "status": "ok" if is_ready else "not ready",
        "checks": {finding.name: finding.trouble or "ok" for finding in findings},
    }
    return JsonResponse(body, status=200 if is_ready else 503)


def _examined() -> list[Finding]:
    return list(examine(now=clock.now()))


KEPT = Kept(_examined, seconds=1)


def examine_part(part: str, *, host: str, now: datetime) -> Finding:
    """Tell whether a beat or a worker of this very host was heard of lately."""
    name, mend = f"{part} on {host}", "See its log."
    heard = (
        schedulers.live(now).filter(name__startswith=f"{host}.")
        if part == "beat"
        else workers.live(now).filter(host=host)
    )
    asked = _asked(name, lambda: heard.exists(), "Start the database.")
    if asked.is_well and not heard.exists():
        return Finding(name, "not heard of lately", mend)
    return asked


def examine(*, now: datetime) -> Iterator[Finding]:
    """Look at everything; what needs the database is left out while there is none."""
    database = _database()
    yield database
    if database.is_well:
        yield from _in_database(now)
    yield _broker()
    yield _disk()


def examine_schedules() -> Finding:
    """Tell whether every schedule can be planned: no trouble of the web processes, so not theirs.

    One expression of one job must not take all of them out of service.
    """
    found = list(set_aside().order_by("pk"))
    if not found:
        return Finding("schedules")
    trouble = f"{len(found)} set aside, the first of job {found[0].job_id}: {found[0].fault}"
    return Finding("schedules", trouble, "See planner.job_failed in the log of beat.")


def _in_database(now: datetime) -> Iterator[Finding]:
    migrations = _migrations()
    yield migrations
    if migrations.is_well:
        yield _beat(now)
        yield from _workers(now)


def _database() -> Finding:
    def answers() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")

    return _asked(
        "database",
        answers,
        "Start the database, or correct SENTINEL_DATABASE_URL.",
    )


def _asked(name: str, question: Callable[[], object], mend: str) -> Finding:
    try:
        question()
    except DatabaseError as error:
        logger.warning("health.%s_failed", name, exc_info=True)
        connection.close()
        return Finding(name, f"does not answer ({type(error).__name__})", mend)
    return Finding(name)


def _migrations() -> Finding:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        return Finding(
            "migrations", f"{len(missing)} not applied", "Run `python manage.py migrate`."
        )
    return Finding("migrations")


def _beat(now: datetime) -> Finding:
    if schedulers.live(now).exists():
        return Finding("beat")
    return Finding(
        "beat",
        "no scheduler was heard of lately",
        "Start one: `celery -A sentinel_project.celery beat`.",
    )


def _workers(now: datetime) -> Iterator[Finding]:
    """Yield a finding per worker group in use; the default group always counts as used."""
    slots = workers.live_slots(now)
    in_use = Q(pk__in=Job.objects.filter(status=JobStatus.ACTIVE).values("worker_group"))
    for group in WorkerGroup.objects.filter(in_use | Q(pk=DEFAULT_GROUP_ID), is_enabled=True):
        name = f"worker:{group.name}"
        if slots.get(group.pk):
            yield Finding(name)
        else:
            yield Finding(
                name,
                "no live worker",
                f"Start one: `SENTINEL_WORKER_GROUPS={group.pk}"
                " celery -A sentinel_project.celery worker`.",
            )


def _broker() -> Finding:
    fault = broker.fault(settings.CELERY_BROKER_URL, settings.BROKER_PREFIX)
    if fault is None:
        return Finding("broker")
    logger.warning("health.broker_failed", extra={"fault": fault})
    mend = "Start the broker, or correct SENTINEL_BROKER_URL."
    if settings.BROKER_IS_EMBEDDED:
        mend = "The embedded broker runs inside `make up`; start that, or set SENTINEL_BROKER_URL."
    return Finding("broker", "does not answer", mend)


def _disk() -> Finding:
    directory = settings.RUN_DIR if settings.RUN_DIR.exists() else settings.BASE_DIR
    free = shutil.disk_usage(directory).free
    if free >= _LEAST_FREE_BYTES:
        return Finding("disk")
    return Finding(
        "disk",
        f"only {free // 1024 // 1024} MiB left",
        f"Make room where {directory} lies.",
    )
