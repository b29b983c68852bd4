"""Admin: which other apps' jobs may wait for a job, given and taken away (D-80)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest

from jobs import services
from jobs.models import Grant
from sentinel_project.admin_base import SentinelAdmin, acting
from sentinel_project.errors import SentinelError


@admin.register(Grant)
class GrantAdmin(SentinelAdmin):
    """A grant is given or taken away; there is nothing in it to change."""

    fields = ("job", "app_name")
    autocomplete_fields = ("job",)
    list_display = ("id", "job", "owner", "app_name")
    list_select_related = ("job__app",)
    search_fields = ("job__name", "app_name")
    ordering = ("-pk",)
    actions = ("take_away",)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_drop_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.delete_grant")

    @admin.display(description="of app")
    def owner(self, grant: Grant) -> str:
        return grant.job.app.name

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        with acting(request) as who:
            services.change_grants(obj.job_id, add=obj.app_name, **who.words)
        obj.pk = Grant.objects.get(job=obj.job_id, app_name=obj.app_name).pk

    @admin.action(description="Take away", permissions=["drop"])
    def take_away(self, request: HttpRequest, queryset: QuerySet[Grant]) -> None:
        with acting(request) as who:
            answers = [_taken(grant, who.words) for grant in queryset]
        self.tell_each(request, answers)


def _taken(grant: Grant, words: dict[str, Any]) -> tuple[bool, str]:
    try:
        services.change_grants(grant.job_id, drop=grant.app_name, **words)
    except SentinelError as refusal:
        return False, str(refusal)
    return True, f"{grant.app_name} may no longer wait for job {grant.job_id}"
