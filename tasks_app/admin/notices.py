"""Admin: what was told to whom, with a way to tell it again (D-84)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from sentinel_project.admin_base import ReadOnlyAdmin, acting, instant, labelled, when
from sentinel_project.errors import SentinelError
from tasks_app import alarm_services
from tasks_app.models import Delivery


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "job",
        "task",
        "what",
        "target",
        "state_label",
        "tries",
        instant("created_at"),
        instant("next_at"),
        instant("ended_at"),
    )
    list_filter = ("state", "channel", "event", ("created_at", admin.DateFieldListFilter))
    list_select_related = ("job", "task")
    search_fields = ("job__name", "target")
    ordering = ("-pk",)
    actions = ("redeliver",)
    readonly_fields = ("log_lines",)

    def has_act_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tasks_app.change_delivery")

    @admin.display(description="what")
    def what(self, delivery: Delivery) -> str:
        return delivery.event or "callback"

    @labelled("state")
    def state_label(self, delivery: Delivery) -> str:
        return delivery.state

    @admin.display(description="tries, one by one")
    def log_lines(self, delivery: Delivery) -> SafeString:
        lines = [
            (when(each.at), "good" if each.is_good else "failed", each.took_ms, each.answer)
            for each in delivery.log.order_by("pk")
        ]
        return format_html_join("", "<div>{}: {} after {} ms, {}</div>", lines)

    @admin.action(description="Deliver again", permissions=["act"])
    def redeliver(self, request: HttpRequest, queryset: QuerySet[Delivery]) -> None:
        with acting(request) as who:
            answers = [_again(pk, who.words) for pk in queryset.values_list("pk", flat=True)]
        self.tell_each(request, answers)


def _again(delivery_id: int, words: dict[str, Any]) -> tuple[bool, str]:
    try:
        alarm_services.redeliver(delivery_id, **words)
    except SentinelError as refusal:
        return False, str(refusal)
    return True, f"delivery {delivery_id} is on its way again"
