"""Admin: attempts, to read, with all they printed (D-59, W-20)."""

from __future__ import annotations

import json
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html

from logs_app.models import StreamKind
from sentinel_project.admin_base import ReadOnlyAdmin, instant, labelled
from tasks_app.admin.output import PIECE, piece_of
from tasks_app.models import Attempt
from tasks_app.rules.states import AttemptStatus

_COLUMNS = tuple(
    field.name for field in Attempt._meta.fields if field.name not in {"id", "rendered"}
)
_AS_RUN = ("content_as_run", "extra_as_run")


@admin.register(Attempt)
class AttemptAdmin(ReadOnlyAdmin):
    list_display = (
        "id",
        "task",
        "number",
        "status_label",
        "worker",
        instant("claimed_at"),
        instant("ended_at"),
        "exit_code",
        "reason",
    )
    list_filter = ("status", ("claimed_at", admin.DateFieldListFilter))
    list_select_related = ("task",)
    search_fields = ("worker", "reason")
    ordering = ("-pk",)
    readonly_fields = _AS_RUN
    change_form_outer_before_template = "admin/sentinel/attempt_links.html"

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Show what really ran, placeholders filled in, where that is not what the job says."""
        return (*_COLUMNS, *(_AS_RUN if obj and obj.rendered else ()))

    @admin.display(description="content as it ran")
    def content_as_run(self, attempt: Attempt) -> str:
        return format_html('<pre class="sn-pre">{}</pre>', (attempt.rendered or {}).get("content"))

    @admin.display(description="parameters as they were")
    def extra_as_run(self, attempt: Attempt) -> str:
        text = json.dumps((attempt.rendered or {}).get("extra"), ensure_ascii=False, indent=2)
        return format_html('<pre class="sn-pre">{}</pre>', text)

    @labelled("status")
    def status_label(self, attempt: Attempt) -> str:
        return AttemptStatus(attempt.status).name

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.output_view)
        return [
            path("<int:attempt_id>/output/", view, name="tasks_app_attempt_output"),
            *super().get_urls(),
        ]

    def output_view(self, request: HttpRequest, attempt_id: int) -> HttpResponse:
        """GET …/<id>/output/?stream&offset: a stream, piece by piece."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        attempt = Attempt.objects.select_related("task__job").filter(pk=attempt_id).first()
        kind = StreamKind.__members__.get(request.GET.get("stream", "RESULT"))
        if attempt is None or kind is None:
            raise Http404
        offset = _number(request.GET.get("offset", "0"))
        context: dict[str, Any] = {
            **self.admin_site.each_context(request),
            "title": f"{kind.name} of {attempt}",
            "opts": self.opts,
            "attempt": attempt,
            "offset": offset,
            "piece": piece_of(attempt, kind, offset=offset, size=PIECE),
            "streams": [each.name for each in StreamKind],
        }
        return TemplateResponse(request, "admin/sentinel/output.html", context)


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Http404
    return int(text)
