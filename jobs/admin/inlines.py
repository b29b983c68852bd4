"""Admin: the expressions and dependencies of a job, inline on its page."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest

from jobs.admin.change_sets import DependencyForm, DependencySet, ExpressionForm, ExpressionSet
from jobs.models import DependencyEntry, Job, ScheduleExpression
from jobs.rules.enums import JobStatus
from sentinel_project.admin_base import TabularInline, refused, when


class ChangeSetInline(TabularInline):
    """Rows that belong to a job: whoever may change jobs may change them."""

    extra = 0

    def get_formset(self, request: HttpRequest, obj: Any = None, **kwargs: Any) -> Any:
        formset: Any = super().get_formset(request, obj, **kwargs)
        formset.problems = refused(request)
        return formset

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("jobs.view_job") or self._may_edit(request, obj)

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_edit(request, obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_edit(request, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may_edit(request, obj)

    def _may_edit(self, request: HttpRequest, job: Job | None) -> bool:
        if job is None or job.pk is None:
            return request.user.has_perm("jobs.add_job")
        return request.user.has_perm("jobs.change_job") and job.status != JobStatus.TRASHED


class ExpressionInline(ChangeSetInline):
    model = ScheduleExpression
    form = ExpressionForm
    formset = ExpressionSet
    fields = ("kind", "text", "next_run")
    readonly_fields = ("next_run",)
    template_before = "admin/sentinel/expression_help.html"

    @admin.display(description="next run")
    def next_run(self, row: ScheduleExpression) -> str:
        return row.fault or when(row.next_due_at)


class DependencyInline(ChangeSetInline):
    model = DependencyEntry
    form = DependencyForm
    formset = DependencySet
    fk_name = "job"
    fields = ("upstream", "common_strategy", "offset")
    autocomplete_fields = ("upstream",)
    verbose_name_plural = "dependencies"
