"""Admin: the audit log, to read (D-85)."""

from __future__ import annotations

import json

from django.contrib import admin
from django.utils.html import format_html

from jobs.models import AuditEntry
from sentinel_project.admin_base import ReadOnlyAdmin, instant


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnlyAdmin):
    list_display = (instant("at"), "user", "app", "action", "object_type", "object_id", "address")
    list_filter = ("action", "object_type", "app", ("at", admin.DateFieldListFilter))
    search_fields = ("user", "action", "address")
    search_help_text = "user, action or address"
    ordering = ("-pk",)
    list_select_related = ("app",)
    fields = (
        "moment",
        "user",
        "app",
        "address",
        "action",
        "object_type",
        "object_id",
        "values_before",
        "values_after",
    )
    readonly_fields = ("moment", "values_before", "values_after")

    moment = staticmethod(instant("at"))

    @admin.display(description="before")
    def values_before(self, entry: AuditEntry) -> str:
        return _shown(entry.before)

    @admin.display(description="after")
    def values_after(self, entry: AuditEntry) -> str:
        return _shown(entry.after)


def _shown(values: object) -> str:
    if values is None:
        return "-"
    text = json.dumps(values, indent=2, ensure_ascii=False, sort_keys=True)
    return format_html('<pre class="sn-pre">{}</pre>', text)
