"""Admin: worker groups are added, renamed, enabled and disabled; labels get names (D-81, D-83)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from jobs import place_services
from jobs.models import BizGroup, Department, WorkerGroup
from sentinel_project import clock
from sentinel_project.admin_base import SentinelAdmin, acting
from tasks_app import workers


@admin.register(WorkerGroup)
class WorkerGroupAdmin(SentinelAdmin):
    list_display = ("id", "name", "is_enabled", "live_slots")
    list_filter = ("is_enabled",)
    search_fields = ("name",)
    ordering = ("pk",)
    actions = ("enable", "disable")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("name", "is_enabled") if obj else ("name",)

    @admin.display(description="slots of live workers")
    def live_slots(self, group: WorkerGroup) -> int:
        return workers.live_slots(clock.now()).get(group.pk, 0)

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        _save_name(request, obj, change)
        if change:
            with acting(request) as who:
                place_services.set_group_enabled(obj.pk, obj.is_enabled, **who.asking)

    @admin.action(description="Enable", permissions=["act"])
    def enable(self, request: HttpRequest, queryset: QuerySet[WorkerGroup]) -> None:
        self._set_enabled(request, queryset, True)

    @admin.action(description="Disable", permissions=["act"])
    def disable(self, request: HttpRequest, queryset: QuerySet[WorkerGroup]) -> None:
        self._set_enabled(request, queryset, False)

    def _set_enabled(
        self, request: HttpRequest, groups: QuerySet[WorkerGroup], is_enabled: bool
    ) -> None:
        word = "enabled" if is_enabled else "disabled"
        with acting(request) as who:
            answers = [
                (
                    place_services.set_group_enabled(group.pk, is_enabled, **who.asking),
                    f"group {group.name} is {word}",
                )
                for group in groups.order_by("pk")
            ]
        self.tell_each(request, answers)


def _save_name(request: HttpRequest, obj: Any, change: bool) -> None:
    """Add the place, or give it the name of the form."""
    with acting(request) as who:
        if change:
            place_services.rename_place(type(obj), obj.pk, obj.name, **who.asking)
        else:
            obj.pk = place_services.add_place(type(obj), obj.name, **who.asking).pk


@admin.register(Department, BizGroup)
class LabelAdmin(SentinelAdmin):
    """What the labels of jobs may say; jobs that carry a department's name follow it."""

    list_display = ("id", "name")
    search_fields = ("name",)
    ordering = ("name",)
    fields = ("name",)

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        _save_name(request, obj, change)
