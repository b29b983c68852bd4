"""GET /metrics: the state of the system for Prometheus, read from the database at the scrape.

Nothing is counted in processes: web, beat and workers are many, the database is one. Of what has
ended only the last minutes are looked at, through indexes, and an answer is kept for some seconds,
so that scrapes cost the same however large the tables and however many the scrapers are.
"""

from __future__ import annotations

import hmac
import ipaddress
import logging
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.models import Count, Min, QuerySet
from django.http import HttpRequest, HttpResponse
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from jobs.models import WorkerGroup
from jobs.selectors import set_aside
from sentinel_project import clock
from sentinel_project.kept import Kept
from sentinel_project.wire.address import address_of
from tasks_app import schedulers, selectors, workers
from tasks_app.models import Attempt, Delivery, Event, Scheduler, Task
from tasks_app.rules.notices import DeliveryState
from tasks_app.rules.states import FINAL, AttemptStatus, TaskKind, TaskStatus

logger = logging.getLogger(__name__)

#: What has ended or been processed is told of this last while.
RECENT = timedelta(minutes=5)
LOST_WITHIN = timedelta(hours=1)
#: Starts looked at for the lag.
_MOST_STARTS = 1000
_QUANTILES = (0.5, 0.95, 1.0)
_OWED = [TaskKind.SCHEDULE.value, TaskKind.TEMP.value]


def metrics(request: HttpRequest) -> HttpResponse:
    """GET /metrics: to the addresses and the bearers of the token that the settings name."""
    if not _may_read(request):
        return HttpResponse("not for this address or token\n", "text/plain", 403)
    try:
        return HttpResponse(KEPT.value(), CONTENT_TYPE_LATEST)
    except DatabaseError:
        logger.warning("metrics.failed", exc_info=True)
        connection.close()
        return HttpResponse("the database does not answer\n", "text/plain", 503)


def _may_read(request: HttpRequest) -> bool:
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    token = settings.SENTINEL_METRICS_TOKEN
    if token and scheme.lower() == "bearer" and hmac.compare_digest(given.encode(), token.encode()):
        return True
    # A proxy that we were not told of would make everybody a neighbour.
    is_forwarded = "X-Forwarded-For" in request.headers
    if is_forwarded and not settings.SECURE_PROXY_SSL_HEADER:
        return False
    return _is_listed(address_of(request), settings.SENTINEL_METRICS_ALLOW)


def _is_listed(address: str, networks: Iterable[str]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(found in ipaddress.ip_network(network, strict=False) for network in networks)


class Reader(Collector):
    """Reads every metric, all of them as of one instant."""

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Say nothing beforehand: registering must not ask the database."""
        return []

    def collect(self) -> Iterator[GaugeMetricFamily]:
        now = clock.now()
        yield from _tasks(now)
        yield from _starts(now)
        yield from _events(now)
        yield from _processes(now)
        yield _gauge(
            "expressions_set_aside",
            "Schedule expressions whose slots cannot be planned",
            set_aside().count(),
        )
        lost = Attempt.objects.filter(
            status=AttemptStatus.LOST.value, ended_at__gt=now - LOST_WITHIN
        )
        yield _gauge(
            "attempts_lost", "Attempts lost with their worker, in the last hour", lost.count()
        )
        yield _labelled(
            "deliveries",
            "Alarms and callbacks that are to be sent, and those given up in the last hour",
            ("state",),
            {
                DeliveryState.PENDING.value: Delivery.objects.filter(next_at__isnull=False).count(),
                DeliveryState.GIVEN_UP.value: Delivery.objects.filter(
                    state=DeliveryState.GIVEN_UP.value, ended_at__gt=now - LOST_WITHIN
                ).count(),
            },
        )


def _made() -> bytes:
    return generate_latest(_REGISTRY)


_REGISTRY = CollectorRegistry()
_REGISTRY.register(Reader())
KEPT = Kept(_made, seconds=5)


def _tasks(now: datetime) -> Iterator[GaugeMetricFamily]:
    held = {status: _reasons(status) for status in (TaskStatus.WAITING, TaskStatus.READY)}
    running = Task.objects.filter(status=TaskStatus.RUNNING.value).count()
    counts = {status.name: sum(reasons.values()) for status, reasons in held.items()}
    yield _labelled(
        "tasks", "Unfinished tasks", ("status",), {**counts, TaskStatus.RUNNING.name: running}
    )
    yield _labelled(
        "tasks_held",
        "Tasks that wait or are ready, by the reason that holds them; empty: none is known",
        ("status", "reason"),
        {(each.name, reason): n for each, found in held.items() for reason, n in found.items()},
    )
    ended = Task.objects.filter(ended_at__gt=now - RECENT, ended_at__lte=now)
    by_status = dict.fromkeys((status.name for status in FINAL), 0) | {
        TaskStatus(status).name: count for status, count in _counted(ended, "status")
    }
    yield _labelled("tasks_ended", "Tasks that ended in the last 5 minutes", ("status",), by_status)


def _reasons(status: TaskStatus) -> dict[str, int]:
    return dict(_counted(Task.objects.filter(status=status.value), "reason"))


def _counted(rows: QuerySet[Any], name: str) -> list[tuple[Any, int]]:
    return list(rows.order_by().values_list(name).annotate(Count("pk")))


def _starts(now: datetime) -> Iterator[GaugeMetricFamily]:
    """Tell how late runs start: what is ready now, and what has started lately."""
    ready = Task.objects.filter(status=TaskStatus.READY.value, ready_at__lte=now)
    oldest = ready.aggregate(oldest=Min("ready_at"))["oldest"]
    yield _gauge(
        "ready_oldest_age_seconds", "Age of the task that is ready longest", _age(oldest, now)
    )
    lags = sorted(_lags(now))
    yield _labelled(
        "due_to_start_seconds",
        "From due time to start, of first attempts that ended in the last 5 minutes or run",
        ("quantile",),
        {str(q): lags[min(len(lags) - 1, int(len(lags) * q))] for q in _QUANTILES if lags},
    )


def _lags(now: datetime) -> Iterator[float]:
    owed = Task.objects.filter(kind__in=_OWED, attempt_count=1, started_at__isnull=False)
    ended = owed.filter(ended_at__gt=now - RECENT, ended_at__lte=now).order_by("-ended_at")
    running = owed.filter(status=TaskStatus.RUNNING.value, started_at__gt=now - RECENT)
    for rows in (ended, running):
        for due_at, started_at in rows.values_list("due_at", "started_at")[:_MOST_STARTS]:
            assert started_at is not None
            yield max(0.0, (started_at - due_at).total_seconds())


def _events(now: datetime) -> Iterator[GaugeMetricFamily]:
    waiting = Event.objects.filter(processed_at__isnull=True)
    found = waiting.aggregate(count=Count("pk"), oldest=Min("created_at"))
    yield _gauge("events_unprocessed", "Events that nobody has carried on yet", found["count"])
    yield _gauge(
        "events_oldest_age_seconds", "Age of the oldest of them", _age(found["oldest"], now)
    )
    yield _labelled(
        "events_processed",
        "Ends of tasks carried on in the last 5 minutes, by whoever ended them or by beat's pass",
        ("by",),
        {by.value: count for by, count in selectors.ends_carried_on(now - RECENT).items()},
    )


def _processes(now: datetime) -> Iterator[GaugeMetricFamily]:
    slots = workers.live_slots(now)
    counts = dict(workers.live(now).order_by().values_list("groups").annotate(Count("pk")))
    groups = dict(WorkerGroup.objects.filter(is_enabled=True).values_list("pk", "name"))
    yield _labelled(
        "workers_live",
        "Workers heard of lately",
        ("group",),
        {name: counts.get(pk, 0) for pk, name in groups.items()},
    )
    yield _labelled(
        "worker_slots",
        "Runs that they can do at once",
        ("group",),
        {name: slots.get(pk, 0) for pk, name in groups.items()},
    )
    yield _gauge("schedulers_live", "Beats heard of lately", schedulers.live(now).count())
    heard = Scheduler.objects.order_by("-beat_at").values_list("beat_at", flat=True).first()
    # No beat at all is the worst age, so that one rule finds both.
    age = _age(heard, now) if heard else float("inf")
    yield _gauge("scheduler_heartbeat_age_seconds", "Since the last sign of life of any beat", age)


def _age(since: datetime | None, now: datetime) -> float:
    """Return the seconds since then; nothing there is no age."""
    return max(0.0, (now - since).total_seconds()) if since else 0.0


def _gauge(name: str, meaning: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"sentinel_{name}", meaning, value=value)


def _labelled(
    name: str,
    meaning: str,
    labels: tuple[str, ...],
    values: Mapping[str, float] | Mapping[tuple[str, str], float],
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"sentinel_{name}", meaning, labels=labels)
    for key, value in values.items():
        family.add_metric([key] if isinstance(key, str) else key, value)
    return family
