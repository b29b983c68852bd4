"""Admin: scripts in their versions, artifacts to look at, connections and secrets (issue 7)."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Max, QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html_join
from unfold.widgets import UnfoldAdminPasswordWidget, UnfoldAdminTextareaWidget

from jobs import operators
from jobs.admin.job_form import ContentField
from jobs.credential_services import Place, delete_credential, set_credential
from jobs.models import App, Artifact, Credential, Script, ScriptVersion
from jobs.rules.enums import CredentialKind
from jobs.script_services import add_script, edit_script
from sentinel_project.admin_base import (
    ReadOnlyAdmin,
    RefusableForm,
    SentinelAdmin,
    acting,
    instant,
    when,
)


def _offer_apps(form: Any, field: str, nobody: str = "") -> None:
    """Leave out who owns nothing: the operators' own app, and those that were deleted."""
    if field in form.fields:
        rows = App.objects.filter(closed_at__isnull=True).exclude(name=operators.NAME)
        form.fields[field].queryset = rows.order_by("name")
        if nobody:
            form.fields[field].empty_label = nobody


class ScriptForm(RefusableForm):
    """Name and text; every save of another text is another version."""

    text = ContentField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 18, "spellcheck": "false"}),
        help_text="A job runs it with content type SCRIPT and the id as its content.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer_apps(self, "app", nobody="every app")
        if self.instance.pk is not None:
            self.initial["text"] = self.instance.versions.order_by("-number")[0].text

    def field_of(self, problem: str) -> str | None:
        words = {"content": "text", "scriptName": "name"}
        return words.get(problem.partition(":")[0])


@admin.register(Script)
class ScriptAdmin(SentinelAdmin):
    form = ScriptForm
    list_display = ("id", "name", "app", "latest", instant("created_at"))
    list_select_related = ("app",)
    search_fields = ("name",)
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Script]:
        rows: QuerySet[Script] = super().get_queryset(request)
        return rows.annotate(latest_number=Max("versions__number"))

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("app", "name", "text", *(("versions",) if obj else ()))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("app", "versions") if obj else ()

    @admin.display(description="version")
    def latest(self, script: Script) -> int:
        return int(vars(script)["latest_number"])

    @admin.display(description="versions")
    def versions(self, script: Script) -> str:
        rows = script.versions.order_by("-number")[:20]
        told = (
            (
                reverse("admin:jobs_scriptversion_change", args=[row.pk]),
                f"{row.number}: {when(row.created_at)}, {row.user or '-'}",
            )
            for row in rows
        )
        return format_html_join("\n", '<a class="sn-link" href="{}">{}</a><br>', told)

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        text = form.cleaned_data["text"]
        with acting(request) as who:
            if change:
                edit_script(obj.pk, name=obj.name, text=text, **who.words)
            else:
                version = add_script(obj.name, text, owner=obj.app, **who.words)
                obj.pk = version.script_id


@admin.register(ScriptVersion)
class ScriptVersionAdmin(ReadOnlyAdmin):
    list_display = ("script", "number", "user", instant("created_at"))
    list_select_related = ("script",)
    search_fields = ("script__name",)
    ordering = ("-pk",)
    fields = ("script", "number", "user", "created_at", "text")


@admin.register(Artifact)
class ArtifactAdmin(ReadOnlyAdmin):
    list_display = ("id", "name", "app", "size", "is_complete", "sha256", instant("created_at"))
    list_select_related = ("app",)
    search_fields = ("name", "sha256")
    ordering = ("-pk",)

    @admin.display(description="complete", boolean=True)
    def is_complete(self, artifact: Artifact) -> bool:
        return artifact.completed_at is not None


class CredentialForm(RefusableForm):
    """What is sealed is never shown again; it can only be set anew."""

    value = forms.CharField(
        required=False,
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "off"}),
        help_text="An address such as postgres://user:word@host/name, or the secret's text. "
        "Empty: as it is.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _offer_apps(self, "apps")
        if "worker_group" in self.fields:
            self.fields["worker_group"].empty_label = "every group"  # type: ignore[attr-defined]

    def _get_validation_exclusions(self) -> set[str]:
        """Leave all checks to the service, names that are taken included."""
        return {field.name for field in Credential._meta.get_fields()}


@admin.register(Credential)
class CredentialAdmin(SentinelAdmin):
    form = CredentialForm
    list_display = ("name", "kind", "worker_group", "for_apps", instant("updated_at"))
    list_filter = ("kind", "worker_group")
    list_select_related = ("worker_group",)
    search_fields = ("name",)
    ordering = ("name", "pk")
    actions = ("forget",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Credential]:
        return super().get_queryset(request).prefetch_related("apps")

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("name", "kind", "worker_group", "value", "apps")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("name", "kind", "worker_group") if obj else ()

    @admin.display(description="apps")
    def for_apps(self, row: Credential) -> str:
        return ", ".join(app.name for app in row.apps.all()) or "every app"

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        with acting(request) as who:
            row = set_credential(
                obj.name,
                form.cleaned_data["value"] or None,
                kind=CredentialKind(obj.kind),
                place=Place(group=obj.worker_group, apps=list(form.cleaned_data["apps"])),
                must_be_new=not change,
                **who.asking,
            )
        obj.pk = row.pk

    def save_related(self, *args: Any, **kwargs: Any) -> None:
        """Nothing is left to save: the apps went through the service."""

    @admin.action(description="Forget", permissions=["act"])
    def forget(self, request: HttpRequest, queryset: QuerySet[Credential]) -> None:
        answers = []
        with acting(request) as who:
            for row in queryset.order_by("pk"):
                name = row.name
                delete_credential(row, **who.asking)
                answers.append((True, f"{name} is forgotten; jobs that name it will fail"))
        self.tell_each(request, answers)
