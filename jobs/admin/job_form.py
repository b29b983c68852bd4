"""The form of a job's own fields, judged by the serializer of the API.

It turns into the frozen value of ``jobs.rules.spec``, and never saves anything.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.conf import settings
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
)

from jobs import operators, selectors
from jobs.models import App, Job
from jobs.rules.enums import JobStatus
from jobs.rules.spec import JobSpec
from jobs.serializers import SubmitJobParams
from jobs.services import edits
from sentinel_project.admin_base import RefusableForm
from tasks_app.executors import job_types

#: Fields of the form that are named otherwise than the value they give.
_FORM_NAMES = {"worker_group_id": "worker_group", "app_name": "app"}
#: The defaults of a submission.
_PUBLISHED = JobSpec(name="", job_type="", content="")


class SecondsField(forms.IntegerField):
    """A timedelta as a number of seconds, as the API has it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=0, widget=UnfoldAdminIntegerFieldWidget(), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return value // timedelta(seconds=1) if isinstance(value, timedelta) else value

    def clean(self, value: Any) -> Any:
        seconds = super().clean(value)
        try:
            return timedelta(seconds=seconds)
        except OverflowError:
            raise forms.ValidationError("too many seconds") from None

    def has_changed(self, initial: Any, data: Any) -> bool:
        return super().has_changed(self.prepare_value(initial), data)


class ContentField(forms.CharField):
    """Text as it is; browsers send CRLF for every end of line, which no shell takes."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strip=False, **kwargs)

    def to_python(self, value: Any) -> str:
        return str(super().to_python(value)).replace("\r\n", "\n")


class JobForm(RefusableForm):
    """A job's own fields. ``spec`` holds what a submission of them would say."""

    spec: JobSpec | None = None
    #: The job that the page showed: what came meanwhile is neither seen nor undone by it.
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput())
    job_type = forms.ChoiceField(label="Type", initial="shell", widget=UnfoldAdminSelectWidget())
    time_zone = forms.ChoiceField(widget=UnfoldAdminSelectWidget())
    content = ContentField(
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 10, "spellcheck": "false"})
    )
    expire_after = SecondsField(
        label="Expires after", help_text="seconds after its due time; 0: never"
    )
    retry_interval = SecondsField(initial=_PUBLISHED.retry_interval, help_text="seconds")
    timeout = SecondsField(initial=_PUBLISHED.timeout, help_text="seconds per attempt; 0: none")

    class Meta:
        model = Job
        exclude = ()
        labels = {"extra": "Parameters", "biz_groups": "Business groups"}
        help_texts = {"biz_groups": "ids between commas such as ,1,2,"}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_new = self.instance.pk is None
        self._original = None if self.is_new else self.instance.content
        # Of a form that was sent the instance takes the number that was sent.
        self._stored_revision = self.instance.revision
        if self.is_new:
            self.initial.setdefault("time_zone", settings.SENTINEL_TIME_ZONE)
        types = sorted({*job_types(), *filter(None, [self.instance.job_type])})
        self._offer("job_type", types)
        self._offer("time_zone", sorted(available_timezones()))
        if "app" in self.fields:
            owners = App.objects.exclude(name=operators.NAME).order_by("name")
            self.fields["app"].queryset = owners  # type: ignore[attr-defined]
        if "status" in self.fields:
            words = (JobStatus.ACTIVE, JobStatus.PAUSED, JobStatus.DISABLED)
            self.fields["status"].choices = [  # type: ignore[attr-defined]
                (word.value, word.name) for word in words
            ]

    def _offer(self, name: str, values: list[str]) -> None:
        if name in self.fields:
            field: Any = self.fields[name]
            field.choices = [(value, value) for value in values]

    def clean_content(self) -> str:
        """Return the content; the stored one, to the byte, if only ends of lines differ."""
        content = str(self.cleaned_data["content"])
        if self._original is not None and self._original.replace("\r\n", "\n") == content:
            return str(self._original)
        return content

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        if not self.is_new and self.cleaned_data.get("revision") != self._stored_revision:
            self.add_error(None, edits.CHANGED_MEANWHILE)
        serializer = SubmitJobParams(data=self._wire())
        if serializer.is_valid():
            self.spec = serializer.validated_data
        for wire, problems in serializer.errors.items():
            name = _form_name(wire)
            if name is None or name not in self.errors:
                self._tell(wire, name, problems)
        return data

    def _tell(self, wire: str, name: str | None, problems: list[str]) -> None:
        if name in self.fields:
            self.add_error(name, problems)
        else:
            self.add_error(None, [f"{wire} {problem}" for problem in problems])

    def _wire(self) -> dict[str, object]:
        """Return the form as ``parameters`` of /api/job/submit would say it."""
        found: dict[str, object] = {}
        for wire, field in SubmitJobParams().fields.items():
            name = _form_name(wire)
            if name is None or name not in self.cleaned_data or name == "app":
                continue
            value = self.cleaned_data[name]
            if name == "worker_group":
                value = value.pk
            found[wire] = value if name == "biz_groups" else field.to_representation(value)
        return found

    def _get_validation_exclusions(self) -> set[str]:
        """Leave nothing to the model: serializer and services judge, in words of their own."""
        return {field.name for field in Job._meta.get_fields()}

    def field_of(self, problem: str) -> str | None:
        name = _form_name(re.split(r"[:. ]", problem, maxsplit=1)[0])
        return name if name in self.fields else None

    def changes(self) -> dict[str, Any]:
        """Return what differs from the stored job, as ``edit_job`` takes it."""
        assert self.spec is not None
        stored = Job.objects.select_related("app").get(pk=self.instance.pk)
        old = selectors.spec_of(stored)
        names = {str(field.source) for field in SubmitJobParams().fields.values()}
        names -= {"status", "is_one_off", "app_name", "dependencies", "schedule"}
        found = {name: getattr(self.spec, name) for name in names}
        return {name: value for name, value in found.items() if value != getattr(old, name)}


def _form_name(wire: str) -> str | None:
    """Return the form's name of a wire field; None: it has none."""
    field = SubmitJobParams().fields.get(wire)
    return None if field is None else _FORM_NAMES.get(str(field.source), str(field.source))
