"""Admin: worker groups are added, enabled and disabled (D-81)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from jobs import admin_services
from jobs.models import WorkerGroup
from sentinel_project import clock
from sentinel_project.admin_base import SentinelAdmin, acting
from tasks_app import workers


@admin.register(WorkerGroup)
class WorkerGroupAdmin(SentinelAdmin):
    list_display = ("id", "name", "is_enabled", "live_slots")
    list_filter = ("is_enabled",)
    search_fields = ("name",)
    ordering = ("pk",)
    fields = ("name", "is_enabled")
    actions = ("enable", "disable")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A name is given once: it is what people know the queue by."""
        return ("name",) if obj else ()

    @admin.display(description="slots of live workers")
    def live_slots(self, group: WorkerGroup) -> int:
        return workers.live_slots(clock.now()).get(group.pk, 0)

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        with acting(request) as who:
            if change:
                admin_services.set_group_enabled(obj, obj.is_enabled, user=who.user, now=who.now)
                return
            made = admin_services.add_group(
                obj.name, is_enabled=obj.is_enabled, user=who.user, now=who.now
            )
            obj.pk = made.pk

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
                    admin_services.set_group_enabled(group, is_enabled, user=who.user, now=who.now),
                    f"group {group.name} is {word}",
                )
                for group in groups.order_by("pk")
            ]
        self.tell_each(request, answers)
