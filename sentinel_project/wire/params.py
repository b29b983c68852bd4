"""``parameters`` of an endpoint: a table of wire fields that builds one frozen value."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from typing import Any, ClassVar

from rest_framework import serializers
from rest_framework.exceptions import ErrorDetail

from sentinel_project.errors import InvalidParameters
from sentinel_project.wire import fields, jsontext

#: Any call may carry it; only mutating endpoints look at it (W-13).
REQUEST_ID = "requestId"
_MAX_UNKNOWN = 20


class Given(dict[str, Any]):
    """What an edit was given, by our names: it may be built of any of its fields."""


class Params(serializers.Serializer[Any]):
    """Translates wire names; ``builds`` is the dataclass that holds the defaults.

    A wire name that Python has taken, such as ``from``, is declared with an underscore behind it.
    """

    builds: ClassVar[type[Any]]
    #: For the documentation: what JSON Schema says beyond the fields, and a request to show;
    #: none: one that gives what is needed.
    also: ClassVar[Mapping[str, object]] = {}
    example: ClassVar[Mapping[str, object]] = {}
    default_error_messages = {"null": "must be an object, not null"}

    @classmethod
    def read(cls, data: Mapping[str, object], *, found: Iterable[str] = ()) -> Any:
        """Return the value that ``data`` asks for; everything wrong with it is refused together.

        What cannot even be stored (NUL, NaN, …) is named by its place and not looked at further.
        ``found`` are problems that somebody else has found.
        """
        unusable = jsontext.problems_by_name(data)
        asked = {name: data[name] for name in data if name != REQUEST_ID}
        problems = [*found, *(problem for named in unusable.values() for problem in named)]
        value: Any = None
        try:
            value = _table(cls).run_validation(asked | dict.fromkeys(unusable, jsontext.UNUSABLE))
        except serializers.ValidationError as error:
            errors = _by_field(error)
            problems += _flat({n: each for n, each in errors.items() if n not in unusable}, "")
        if problems:
            raise InvalidParameters.of(problems)
        return value

    @classmethod
    def forms(cls) -> Sequence[type[Params]]:
        """Return the tables that one request may follow, where there are several."""
        return (cls,)

    def get_fields(self) -> dict[str, Any]:
        return {name.rstrip("_"): field for name, field in super().get_fields().items()}

    def to_internal_value(self, data: Any) -> Any:
        if not isinstance(data, Mapping):
            raise serializers.ValidationError(f"must be an object, not {jsontext.shown(data)}")
        errors: dict[str, Any] = {}
        found: dict[str, Any] = {}
        try:
            found = super().to_internal_value(data)
        except serializers.ValidationError as error:
            errors.update(_by_field(error))
        errors.update(self._unknown(data))
        if errors:
            raise serializers.ValidationError(errors)
        # None is what 0 and null stand for, and the default of every field that takes them.
        return self.builds(**{name: value for name, value in found.items() if value is not None})

    def _unknown(self, data: Mapping[str, object]) -> dict[str, str]:
        """Refuse what has no field: a typo must not become a default (W-4)."""
        unknown = [name for name in data if name not in self.fields]
        return {
            jsontext.shown(name)[1:-1] or '""': f"is not a field here; {self._hint(name)}"
            for name in unknown[:_MAX_UNKNOWN]
        }

    def _hint(self, name: str) -> str:
        near = get_close_matches(name[:64], list(self.fields), n=1)
        return f"did you mean {near[0]}?" if near else f"fields are {', '.join(self.fields)}"


@cache
def _table(params: type[Params]) -> Params:
    """Return the fields of ``params``, made once: they keep nothing of what they read."""
    return params()


def _by_field(error: serializers.ValidationError) -> dict[str, Any]:
    detail = error.detail
    assert isinstance(detail, dict), "a serializer's errors are by field"
    return detail


def _flat(detail: Any, path: str) -> Iterator[str]:
    """Turn Django REST framework's tree of errors into sentences that begin with the field."""
    match detail:
        case dict():
            for name, inner in detail.items():
                yield from _flat(inner, _below(path, name))
        case list():
            for inner in detail:
                yield from _flat(inner, path)
        case ErrorDetail(code=fields.WHOLE_SENTENCE):
            yield str(detail)
        case _:
            yield f"{path or 'parameters'} {detail}"


def _below(path: str, name: str | int) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    if name == "non_field_errors":
        return path
    return f"{path}.{name}" if path else name
