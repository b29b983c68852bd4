"""Admin: attempts, to read, with all they printed (D-59, W-20)."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from logs_app.models import StreamKind
from sentinel_project.admin_base import ReadOnlyAdmin, instant, labelled
from tasks_app.admin.output import PIECE, piece_of
from tasks_app.models import Attempt
from tasks_app.rules.states import AttemptStatus


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
    change_form_outer_before_template = "admin/sentinel/attempt_links.html"

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
