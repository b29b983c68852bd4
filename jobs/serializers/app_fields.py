"""Fields of what is said about apps: names, switches, which types they may use."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from jobs.app_services import MAX_NAME
from jobs.rules import allowance
from jobs.rules.enums import Switch
from sentinel_project.wire.fields import CodeField, ObjectField, TextField


class AppNameField(TextField):
    """A name that an app may be registered under."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(low=1, high=MAX_NAME, source="name", **kwargs)
        self.accepts = f"1 to {MAX_NAME} printable characters without blanks around"

    def to_internal_value(self, data: Any) -> Any:
        name = super().to_internal_value(data)
        if name != name.strip() or not name.isprintable():
            self.refuse(data)
        return name


class SwitchField(CodeField):
    """Whether something takes part, as a bool."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(Switch, source="is_enabled", **kwargs)

    def to_internal_value(self, data: Any) -> Any:
        return super().to_internal_value(data) is Switch.ENABLED


class AllowedTypesField(ObjectField):
    """Which jobTypes, and for each in which worker groups (D-80)."""

    accepts = (
        'an object of jobTypes with lists of worker group ids such as {"shell": [1], "java": []},'
        " or {} for all"
    )

    def to_internal_value(self, data: Any) -> Any:
        found = super().to_internal_value(data)
        if problem := allowance.problem(found):
            raise serializers.ValidationError(problem)
        return found
