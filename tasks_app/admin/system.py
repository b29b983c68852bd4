"""Admin: the whole-system pause, switched from the dashboard (D-60)."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import URLPattern, path, reverse

from sentinel_project.admin_base import ReadOnlyAdmin, acting, instant
from tasks_app.models import SystemState
from tasks_app.services import set_system_paused


@admin.register(SystemState)
class SystemStateAdmin(ReadOnlyAdmin):
    list_display = ("__str__", instant("changed_at"), "changed_by")

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view(self.switch_view)
        return [path("switch/", view, name="tasks_app_systemstate_switch"), *super().get_urls()]

    def switch_view(self, request: HttpRequest) -> HttpResponse:
        """POST …/switch/: pause everything, or resume it."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not self.has_act_permission(request):
            raise PermissionDenied
        is_paused = request.POST.get("verb") == "pause"
        with acting(request) as who:
            set_system_paused(is_paused, **who.words)
        self.message_user(request, "Everything is paused." if is_paused else "Everything goes on.")
        return HttpResponseRedirect(reverse("admin:index"))
