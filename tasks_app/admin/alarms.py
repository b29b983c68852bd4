"""Admin: alarms are added, changed and deleted by the services of the API (D-84)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from rest_framework import serializers
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget, UnfoldAdminTextareaWidget

from jobs.admin.job_form import SecondsField
from sentinel_project.admin_base import RefusableForm, SentinelAdmin, acting, instant, labelled
from sentinel_project.errors import SentinelError
from sentinel_project.wire.contacts import MailField, WebhookField
from sentinel_project.wire.fields import TextField
from tasks_app import alarm_services
from tasks_app.alarm_services import AlarmSpec
from tasks_app.models import Alarm
from tasks_app.rules.notices import AlarmEvent

_FIELDS = ("events", "start_within", "finish_within", "webhooks", "mails", "quiet_for")
#: Fields of the API that are named otherwise here.
_FORM_NAMES = {"startWithin": "start_within", "finishWithin": "finish_within"}


class LinesField(forms.CharField):
    """Addresses, one a line, each judged by the field of the API."""

    def __init__(self, judge: TextField, **kwargs: Any) -> None:
        widget = UnfoldAdminTextareaWidget(attrs={"rows": 3, "spellcheck": "false"})
        super().__init__(required=False, widget=widget, help_text="one a line", **kwargs)
        self._judge = judge

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list | tuple) else value

    def clean(self, value: Any) -> Any:
        lines = [line.strip() for line in str(super().clean(value)).splitlines()]
        found = [line for line in lines if line]
        if len(found) > alarm_services.MAX_RECEIVERS:
            raise forms.ValidationError(f"at most {alarm_services.MAX_RECEIVERS}")
        for line in found:
            try:
                self._judge.run_validation(line)
            except serializers.ValidationError:
                raise forms.ValidationError(f"{line}: it is not {self._judge.accepts}") from None
        return found

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class AlarmForm(RefusableForm):
    events = forms.MultipleChoiceField(
        choices=[(event.value, event.value) for event in AlarmEvent],
        widget=UnfoldAdminCheckboxSelectMultipleWidget(),
    )
    start_within = SecondsField(initial=0, help_text="seconds after its due time; for NOT_STARTED")
    finish_within = SecondsField(
        initial=0, help_text="seconds after its due time; for NOT_FINISHED"
    )
    quiet_for = SecondsField(initial=0, help_text="seconds in which an event is told only once")
    webhooks = LinesField(WebhookField())
    mails = LinesField(MailField())

    class Meta:
        model = Alarm
        fields = ("job", *_FIELDS, "is_enabled")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("start_within", "finish_within"):
            self.initial[name] = self.initial.get(name) or timedelta(0)

    @property
    def asked(self) -> dict[str, Any]:
        """Return the alarm as the services take it."""
        data = {name: self.cleaned_data[name] for name in (*_FIELDS, "is_enabled")}
        data["events"] = tuple(map(AlarmEvent, data["events"]))
        return data | {name: tuple(data[name]) for name in ("webhooks", "mails")}

    def field_of(self, problem: str) -> str | None:
        word = problem.split(" ")[0]
        name = _FORM_NAMES.get(word, word)
        return name if name in self.fields else None


@admin.register(Alarm)
class AlarmAdmin(SentinelAdmin):
    form = AlarmForm
    fields = ("job", *_FIELDS, "is_enabled")
    autocomplete_fields = ("job",)
    list_display = ("id", "job", "about", "tells", "enabled", instant("created_at"), "created_by")
    list_filter = ("is_enabled",)
    list_select_related = ("job",)
    search_fields = ("job__name",)
    ordering = ("-pk",)
    actions = ("delete",)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        return ("job",) if obj else ()

    def has_drop_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("tasks_app.delete_alarm")

    @admin.display(description="about")
    def about(self, alarm: Alarm) -> str:
        return ", ".join(alarm.events)

    @admin.display(description="tells")
    def tells(self, alarm: Alarm) -> str:
        return ", ".join([*alarm.webhooks, *alarm.mails])

    @labelled("enabled")
    def enabled(self, alarm: Alarm) -> str:
        return "enabled" if alarm.is_enabled else "disabled"

    def save_model(
        self, request: HttpRequest, obj: Any, form: ModelForm[Any], change: bool
    ) -> None:
        assert isinstance(form, AlarmForm)
        with acting(request) as who:
            if change:
                alarm_services.edit_alarm(obj.pk, form.asked, **who.words)
            else:
                spec = AlarmSpec(**form.asked)
                obj.pk = alarm_services.add_alarm(obj.job_id, spec, **who.words).pk

    @admin.action(description="Delete", permissions=["drop"])
    def delete(self, request: HttpRequest, queryset: QuerySet[Alarm]) -> None:
        with acting(request) as who:
            answers = [_deleted(pk, who.words) for pk in queryset.values_list("pk", flat=True)]
        self.tell_each(request, answers)


def _deleted(alarm_id: int, words: dict[str, Any]) -> tuple[bool, str]:
    try:
        job_id = alarm_services.delete_alarm(alarm_id, **words)
    except SentinelError as refusal:
        return False, str(refusal)
    return True, f"alarm {alarm_id} of job {job_id} is deleted"
