"""Admin: apps are registered, limited, disabled, and their keys turned over (D-80, W-12).

A key is in one page, the answer to the POST that made it, and nowhere else: not in a message, which
would travel in a cookie, and not behind a redirect, which could be asked for again.
"""

from __future__ import annotations

from typing import Any, cast

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.crypto import constant_time_compare, salted_hmac

from jobs import app_services, operators
from jobs.models import App
from jobs.rules.enums import AppKind
from sentinel_project.admin_base import RefusableForm, SentinelAdmin, acting, instant, problems_of
from sentinel_project.errors import Refused, SentinelError

_LIMITS = app_services.LIMITS


def rotation_of(app: App) -> str:
    """Return what a rotate button carries, so that a repeated POST rotates nothing again."""
    return salted_hmac("sentinel.rotate", app.sealed_key).hexdigest()[:16]


class AppForm(RefusableForm):
    """Registers or limits an app; the operators' own name is taken."""

    class Meta:
        model = App
        exclude = ()
        labels = {"allowed_types": "Job types"}
        help_texts = {
            "allowed_types": "worker group ids by job type, such as "
            '{"shell": [1], "java": []}; {} = every type, an empty list = every group'
        }

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if name == operators.NAME:
            self.add_error("name", "this name is reserved for operators")
        return name

    def clean_allowed_types(self) -> Any:
        """An empty field is an empty object: every type."""
        return self.cleaned_data["allowed_types"] or {}

    def clean_max_priority(self) -> int:
        value = int(self.cleaned_data["max_priority"])
        if value > app_services.MAX_PRIORITY:
            self.add_error("max_priority", f"it is at most {app_services.MAX_PRIORITY}")
        return value


@admin.register(App)
class AppAdmin(SentinelAdmin):
    form = AppForm
    list_display = ("name", "kind", "is_enabled", "owner", "max_concurrency", "two_keys")
    list_filter = ("kind", "is_enabled")
    search_fields = ("name", "owner")
    ordering = ("name",)
    autocomplete_fields = ("allowed_groups",)
    actions = ("enable", "disable")
    change_form_outer_before_template = "admin/sentinel/app_acts.html"

    class Media:
        js = ("sentinel/confirm.js",)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        made = ("is_enabled", "two_keys", "created") if obj else ()
        return ("name", "kind", *_LIMITS, *made)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("name", "kind", "is_enabled", "two_keys", "created") if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse the operators' app, a key of which would call as everybody, and deleted ones."""
        is_shut = obj is not None and (operators.is_operator(obj) or not app_services.is_open(obj))
        return not is_shut and super().has_change_permission(request, obj)

    created = staticmethod(instant("created_at"))

    @admin.display(description="old key still good", boolean=True)
    def two_keys(self, app: App) -> bool:
        return bool(app.sealed_old_key)

    def change_view(
        self,
        request: HttpRequest,
        object_id: str,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        app = self.get_object(request, object_id)
        can_act = app is not None and self.has_change_permission(request, app)
        extra = {"can_act": can_act, "rotation": rotation_of(app) if app else ""}
        return super().change_view(request, object_id, form_url, (extra_context or {}) | extra)

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        limits = {name: form.cleaned_data[name] for name in _LIMITS}
        limits["allowed_groups"] = [group.pk for group in limits["allowed_groups"]]
        with acting(request) as who:
            if change:
                app_services.edit_app(obj, limits, **who.asking)
                return
            kind = AppKind(obj.kind)
            made, key = app_services.register_app(
                name=obj.name, kind=kind, limits=limits, **who.asking
            )
            obj.pk = made.pk
            cast(Any, request).fresh_key = key

    def save_related(self, *args: Any, **kwargs: Any) -> None:
        """Nothing is left to save: the groups went through the service."""

    def response_add(
        self, request: HttpRequest, obj: App, post_url_continue: str | None = None
    ) -> HttpResponse:
        return self._key_page(request, obj, cast(Any, request).fresh_key)

    def _key_page(self, request: HttpRequest, app: App, key: str) -> HttpResponse:
        context = {
            **self.admin_site.each_context(request),
            "title": f"Key of {app.name}",
            "opts": self.opts,
            "app": app,
            "fresh_key": key,
        }
        return TemplateResponse(request, "admin/sentinel/app_key.html", context)

    # -- verbs -------------------------------------------------------------------------------------

    def rotate(self, request: HttpRequest, app: App) -> HttpResponse:
        _refuse_shut(app)
        if not constant_time_compare(request.POST.get("rotation", ""), rotation_of(app)):
            raise Refused(
                f"the key of {app.name} was rotated meanwhile; look before you do it again"
            )
        with acting(request) as who:
            key = app_services.rotate_key(app, **who.asking)
        return self._key_page(request, app, key)

    def drop_old_key(self, request: HttpRequest, app: App) -> None:
        with acting(request) as who:
            app_services.drop_old_key(app, **who.asking)
        self.message_user(request, f"The old key of {app.name} is no longer accepted.")

    def set_enabled(self, request: HttpRequest, app: App) -> None:
        self._set_enabled(request, app, request.POST.get("verb") == "enable")

    def _set_enabled(self, request: HttpRequest, app: App, is_enabled: bool) -> None:
        _refuse_shut(app)
        with acting(request) as who:
            app_services.set_enabled(app, is_enabled, **who.asking)
        self.message_user(request, f"{app.name} is {'enabled' if is_enabled else 'disabled'}.")

    verbs = {
        "rotate": rotate,
        "drop_old_key": drop_old_key,
        "enable": set_enabled,
        "disable": set_enabled,
    }

    @admin.action(description="Enable", permissions=["act"])
    def enable(self, request: HttpRequest, queryset: QuerySet[App]) -> None:
        self._set_each(request, queryset, True)

    @admin.action(description="Disable", permissions=["act"])
    def disable(self, request: HttpRequest, queryset: QuerySet[App]) -> None:
        self._set_each(request, queryset, False)

    def _set_each(self, request: HttpRequest, apps: QuerySet[App], is_enabled: bool) -> None:
        for app in apps.order_by("name"):
            try:
                self._set_enabled(request, app, is_enabled)
            except SentinelError as refusal:
                self.message_user(request, problems_of(refusal)[0], messages.ERROR)


def _refuse_shut(app: App) -> None:
    if app.name == operators.NAME:
        raise Refused(f"{app.name} is the operators' own app; nobody may call with it")
    if not app_services.is_open(app):
        raise Refused(f"app {app.name} was deleted")
