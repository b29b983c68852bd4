"""Admin: how jobs are listed: the status as everybody reads it, the schedule, the next run."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from jobs.models import Job
from jobs.rules.enums import JobStatus
from sentinel_project import clock
from tasks_app.executors import job_types


class StatusFilter(admin.SimpleListFilter):
    """By the status that everybody reads: EXPIRED is derived from the window (D-1)."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(str(status.value), status.name) for status in JobStatus]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        value = self.value()
        if value is None or not value.isascii() or not value.isdigit():
            return queryset
        is_over = Q(active_until__isnull=False, active_until__lte=clock.now())
        is_over &= ~Q(status=JobStatus.TRASHED)
        if int(value) == JobStatus.EXPIRED:
            return queryset.filter(is_over)
        return queryset.filter(status=int(value)).exclude(is_over)


class TypeFilter(admin.SimpleListFilter):
    title = "type"
    parameter_name = "job_type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [(name, name) for name in job_types()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        return queryset.filter(job_type=self.value()) if self.value() else queryset
