"""``parameters`` of what edits a job: fields, dependencies, schedule; absent is unchanged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from rest_framework import serializers

from jobs.rules.enums import CommonStrategy, Edit, ExpressionKind
from jobs.rules.spec import DependencyEdit, ScheduleEdit
from jobs.serializers.submit import SubmitJobParams
from sentinel_project.wire.fields import CodeField, IdField, ListField, OptionalIdField, TextField
from sentinel_project.wire.params import Given, Params

_NOT_EDITED = ("status", "isTemp")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEdit:
    """What is to change in a job: fields by their names in a spec, and two change sets."""

    job_id: int
    changes: Mapping[str, Any] = field(default_factory=dict)
    dependencies: tuple[DependencyEdit, ...] = ()
    schedule: tuple[ScheduleEdit, ...] = ()


class DependencyParams(Params):
    """An entry of ``dependencyList`` of an edit."""

    builds = DependencyEdit

    operatorMode = CodeField(Edit, source="mode")
    preJobId = IdField(source="upstream_id")
    commonStrategy = CodeField(CommonStrategy, source="strategy", required=False)
    offsetStrategy = TextField(high=64, source="offset", required=False)


class ExpressionParams(Params):
    """An entry of ``scheduleExpressionList`` of an edit."""

    builds = ScheduleEdit

    operatorMode = CodeField(Edit, source="mode")
    expressionId = OptionalIdField(source="expression_id", required=False, allow_null=True)
    expressionType = CodeField(ExpressionKind, source="kind", required=False)
    expression = TextField(low=1, high=1024, source="text", required=False)

    def to_internal_value(self, data: Any) -> Any:
        """Ask for what the mode needs: which expression, and what it shall be."""
        edit: ScheduleEdit = super().to_internal_value(data)
        missing: dict[str, str] = {}
        if edit.mode is not Edit.ADD and edit.expression_id is None:
            missing["expressionId"] = "is missing; EDIT (2) and DELETE (3) must name an expression"
        if edit.mode is not Edit.DELETE and not edit.text:
            missing["expression"] = "is missing; it must be text of 1 to 1024 characters"
        if missing:
            raise serializers.ValidationError(missing)
        return edit


class ExpressionList(ListField):
    """Entries that name each expression at most once."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=ExpressionParams(), source="schedule", **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        edits: tuple[ScheduleEdit, ...] = super().to_internal_value(data)
        named = [edit.expression_id for edit in edits if edit.mode is not Edit.ADD]
        twice = sorted({each for each in named if each is not None and named.count(each) > 1})
        if twice:
            raise serializers.ValidationError(f"names expression {twice[0]} twice")
        return edits


class DependencyList(ListField):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(child=DependencyParams(), source="dependencies", **kwargs)


class EditJobParams(SubmitJobParams):
    """``parameters`` of /api/job/edit: fields of a submission, each of which may be absent."""

    builds: ClassVar[type[Any]] = Given
    example = {"jobId": 7, "content": "echo hello again", "failedAttempts": 2}

    jobId = IdField(source="job_id")
    dependencyList = DependencyList(required=False, allow_null=True)
    scheduleExpressionList = ExpressionList(required=False, allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name in _NOT_EDITED:
            del fields[name]
        for name, each in fields.items():
            each.required = name == "jobId"
        return fields

    def to_internal_value(self, data: Any) -> Any:
        """Tell what was given as "none" (0, say) from what was not given."""
        found: dict[str, Any] = super().to_internal_value(data)
        given = {
            str(each.source): found.get(str(each.source))
            for name, each in self.fields.items()
            if name in data and name != "jobId"
        }
        return JobEdit(
            job_id=found["job_id"],
            dependencies=given.pop("dependencies", None) or (),
            schedule=given.pop("schedule", None) or (),
            changes=given,
        )


class SetDependenciesParams(Params):
    """``parameters`` of /api/job/dependency/set."""

    builds = JobEdit

    jobId = IdField(source="job_id")
    dependencyList = DependencyList(allow_empty=False)


class SetScheduleParams(Params):
    """``parameters`` of /api/job/scheduleExp/set."""

    builds = JobEdit
    example = {
        "jobId": 7,
        "scheduleExpressionList": [
            {"operatorMode": 2, "expressionId": 12, "expression": "0 5 * * *"}
        ],
    }

    jobId = IdField(source="job_id")
    scheduleExpressionList = ExpressionList(allow_empty=False)
