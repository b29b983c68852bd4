"""The inlines of a job, expressions and dependencies: rows in, change sets out (D-57, D-58)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar
from zoneinfo import ZoneInfo, available_timezones

from django import forms

from jobs import operators
from jobs.models import App, DependencyEntry, Job, ScheduleExpression
from jobs.rules.enums import CommonStrategy, Edit, ExpressionKind
from jobs.rules.spec import DependencyEdit, ScheduleEdit
from jobs.services import checks
from sentinel_project import clock
from sentinel_project.admin_base import RowForm, RowSet

SCHEDULE = "scheduleExpressionList"
DEPENDENCIES = "dependencyList"


class JobRow(RowForm):
    """A row of a job, which knows the job as it is to be."""

    def __init__(self, *args: Any, job: Job, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.job = job


class ExpressionForm(JobRow):
    """One expression, judged as the API does, in the zone that the job is to have."""

    class Meta:
        model = ScheduleExpression
        fields = ("kind", "text")

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        job = self.job
        if self.has_changed() and not self.errors and job.time_zone in available_timezones():
            problems = checks.schedule_problems(
                [self.edit(Edit.ADD)], zone=ZoneInfo(job.time_zone), now=clock.now()
            )
            for problem in problems:
                self.add_error("text", problem.partition(": ")[2])
        return data

    def edit(self, mode: Edit) -> ScheduleEdit:
        return ScheduleEdit(
            mode=mode,
            expression_id=self.instance.pk,
            kind=ExpressionKind(self.cleaned_data["kind"]),
            text=self.cleaned_data["text"],
        )


class DependencyForm(JobRow):
    """One upstream, judged as the API does."""

    class Meta:
        model = DependencyEntry
        fields = ("upstream", "common_strategy", "offset")

    def clean(self) -> dict[str, Any] | None:
        data = super().clean()
        upstream = self.cleaned_data.get("upstream")
        if upstream is None or not self.has_changed():
            return data
        if upstream.pk == self.job.pk:
            self.add_error("upstream", "a job cannot wait for itself; make it serial instead")
            return data
        owner = _owner_of(self.job)
        for problem in checks.dependency_problems([self.edit()], app=owner):
            field, _, text = problem.partition(": ")
            self.add_error("offset" if field.endswith("offsetStrategy") else "upstream", text)
        return data

    def edit(self, mode: Edit = Edit.ADD) -> DependencyEdit:
        return DependencyEdit(
            mode=mode,
            upstream_id=self.cleaned_data["upstream"].pk,
            strategy=CommonStrategy(self.cleaned_data["common_strategy"]),
            offset=self.cleaned_data.get("offset") or "",
        )


def _owner_of(job: Job) -> App:
    """Return whose eyes an upstream is looked for with: a new job's owner's, else everybody's."""
    return operators.operator() if job.pk or job.app_id is None else job.app


class ChangeSet(RowSet):
    """Rows of an inline, and what the services said about them as a whole."""

    problems: ClassVar[Iterable[str]] = ()
    field = ""

    def get_form_kwargs(self, index: int | None) -> dict[str, Any]:
        return super().get_form_kwargs(index) | {"job": self.instance}

    def clean(self) -> None:
        super().clean()
        ours = [problem for problem in self.problems if problem.startswith(self.field)]
        left = [problem for problem in ours if not self.tell_row(problem)]
        if left:
            raise forms.ValidationError(left)

    def tell_row(self, problem: str) -> bool:
        """Tell a problem at the row it is about. False: it is about the set."""
        return False

    def left(self) -> Iterator[Any]:
        """Yield the rows that stay or come."""
        gone = self.deleted_forms
        for form in self.forms:
            if form not in gone and (form.instance.pk or form.has_changed()):
                yield form


class ExpressionSet(ChangeSet):
    field = SCHEDULE

    def edits(self) -> tuple[ScheduleEdit, ...]:
        """Return the change set; expressions that did not change are not in it (D-57)."""
        gone = [
            ScheduleEdit(mode=Edit.DELETE, expression_id=form.instance.pk)
            for form in self.deleted_forms
            if form.instance.pk
        ]
        kept = [
            form.edit(Edit.EDIT if form.instance.pk else Edit.ADD)
            for form in self.left()
            if form.has_changed()
        ]
        return (*gone, *kept)


class DependencySet(ChangeSet):
    field = DEPENDENCIES

    def clean(self) -> None:
        super().clean()
        named = [form.cleaned_data["upstream"].pk for form in self.left() if form.is_valid()]
        twice = sorted({job_id for job_id in named if named.count(job_id) > 1})
        if twice:
            raise forms.ValidationError(f"job {twice[0]} is named twice")

    def tell_row(self, problem: str) -> bool:
        found = re.match(rf"{DEPENDENCIES}\.preJobId (\d+): (.*)", problem, re.DOTALL)
        for form in self.left():
            upstream = getattr(form, "cleaned_data", {}).get("upstream")
            if found and upstream is not None and str(upstream.pk) == found[1]:
                form.add_error("offset", found[2])
                return True
        return False

    def edits(self) -> tuple[DependencyEdit, ...]:
        """Return the change set that leads from the stored rows to those of the form (D-58)."""
        stored = {
            entry.upstream_id: (entry.common_strategy, entry.offset)
            for entry in DependencyEntry.objects.filter(job=self.instance.pk)
        }
        wanted = {edit.upstream_id: edit for edit in (form.edit() for form in self.left())}
        gone = [
            DependencyEdit(mode=Edit.DELETE, upstream_id=job_id)
            for job_id in stored
            if job_id not in wanted
        ]
        kept = [
            form.edit(Edit.EDIT if edit.upstream_id in stored else Edit.ADD)
            for form in self.left()
            if (edit := form.edit())
            and stored.get(edit.upstream_id) != (edit.strategy, edit.offset)
        ]
        return (*gone, *kept)
