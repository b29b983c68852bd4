"""Admin: workers, schedulers, gaps, daily sums and events, to read (D-23, D-81, X-8, X-33)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from sentinel_project import clock
from sentinel_project.admin_base import ReadOnlyAdmin, instant, labelled
from tasks_app import schedulers, workers
from tasks_app.models import DailySum, Event, Gap, Scheduler, Worker


@admin.register(Worker)
class WorkerAdmin(ReadOnlyAdmin):
    list_display = ("name", "alive", "heard", "slots", "serves", "pool", "host", "pid")
    search_fields = ("name", "host")
    ordering = ("-beat_at",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Worker]:
        return super().get_queryset(request).prefetch_related("groups")

    @labelled("alive")
    def alive(self, worker: Worker) -> str:
        is_live = worker.stopped_at is None and worker.beat_at > clock.now() - workers.LIVE_FOR
        return "alive" if is_live else "stopped" if worker.stopped_at else "not alive"

    @admin.display(description="heard of")
    def heard(self, worker: Worker) -> str:
        return ago(worker.beat_at)

    @admin.display(description="can run")
    def can_run(self, worker: Worker) -> str:
        return ", ".join(name for name, lack in worker.job_types.items() if not lack) or "-"

    @admin.display(description="cannot run")
    def cannot_run(self, worker: Worker) -> str:
        told = (f"{name}: {lack}" for name, lack in worker.job_types.items() if lack)
        return "; ".join(told) or "-"

    @admin.display(description="serves")
    def serves(self, worker: Worker) -> str:
        return ", ".join(group.name for group in worker.groups.all()) or "-"


@admin.register(Scheduler)
class SchedulerAdmin(ReadOnlyAdmin):
    list_display = ("name", "alive", "heard", instant("started_at"), instant("lease_until"))
    ordering = ("-beat_at",)

    @labelled("alive")
    def alive(self, scheduler: Scheduler) -> str:
        is_live = scheduler.beat_at > clock.now() - schedulers.LIVE_FOR
        return "alive" if is_live else "not alive"

    @admin.display(description="heard of")
    def heard(self, scheduler: Scheduler) -> str:
        return ago(scheduler.beat_at)


def ago(at: Any) -> str:
    """Return how long ago a sign of life was, in seconds or what is readable."""
    seconds = max(0, int((clock.now() - at).total_seconds()))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit} ago"
    return f"{seconds} s ago"


@admin.register(Gap)
class GapAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "job",
        "reason",
        "count",
        instant("from_at"),
        instant("to_at"),
        "schedule_text",
    )
    list_filter = ("reason", ("to_at", admin.DateFieldListFilter))
    list_select_related = ("job",)
    search_fields = ("job__name",)
    ordering = ("-pk",)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup == "job__id__exact" or super().lookup_allowed(lookup, value, request)  # type: ignore[arg-type]


@admin.register(DailySum)
class DailySumAdmin(ReadOnlyAdmin):
    """Runs that have left by retention."""

    list_display = ("day", "job", "kind", "counts", "attempts", "ran_for", "longest")
    list_filter = ("kind", ("day", admin.DateFieldListFilter))
    list_select_related = ("job",)
    search_fields = ("job__name",)
    ordering = ("-day", "-pk")


class ProcessedFilter(admin.SimpleListFilter):
    """Unprocessed ones unless told otherwise: those are what somebody looks for."""

    title = "processed"
    parameter_name = "processed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("yes", "Processed"), ("all", "All")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Event]) -> QuerySet[Event]:
        if self.value() == "all":
            return queryset
        return queryset.filter(processed_at__isnull=self.value() != "yes")

    def choices(self, changelist: Any) -> Any:
        first, *others = super().choices(changelist)
        yield {**first, "display": "Unprocessed"}
        yield from others


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "job",
        "task",
        instant("created_at"),
        "faults",
        instant("not_before"),
        instant("processed_at"),
    )
    list_filter = (ProcessedFilter,)
    list_select_related = ("job", "task")
    ordering = ("-pk",)
