"""JSON Schema of what the wire takes and gives: fields, parameters, what ``handle`` returns.

A field of a kind of its own says what it accepts by ``@schemas.accepted.register``. An answer is a
``TypedDict``, so that mypy holds the code to it and this module the documentation.
"""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from functools import singledispatch
from typing import (
    Annotated,
    Any,
    NotRequired,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    is_typeddict,
)

from sentinel_project.wire import contacts, fields
from sentinel_project.wire.params import REQUEST_ID, Params

Schema = dict[str, Any]
#: Gives the reference to a schema that has a name; makes it at the first call.
Named = Callable[[str, object, Callable[[], Schema]], Schema]

#: Annotations of answers.
Millis = Annotated[int, "epoch milliseconds"]
Id = Annotated[int, "an id"]
Seconds = Annotated[int, "seconds"]

_REQUEST_ID: Mapping[str, Schema] = {
    REQUEST_ID: {
        "type": "string",
        "minLength": 1,
        "maxLength": 64,
        "pattern": r"\S",
        "description": "Names a request that changes something: a repetition is answered again "
        "and not done again. What only reads ignores it.",
    }
}
_DIGITS = "^-?[0-9]{1,20}$"
_LABELS = "^(,?[0-9]{1,19}(,[0-9]{1,19})*,?)?$"
_BASIC = {int: "integer", str: "string", bool: "boolean", float: "number", type(None): "null"}


def as_text(schema: Schema) -> Schema:
    """Return the schema of a text that holds JSON of ``schema``."""
    return {"type": "string", "contentMediaType": "application/json", "contentSchema": schema}


def params_schema(params: type[Params], named: Named) -> Schema:
    """Return what an endpoint takes, in all of its forms."""
    refs = [_params(form, named, _REQUEST_ID) for form in params.forms()]
    return refs[0] if len(refs) == 1 else {"anyOf": refs}


def _params(params: type[Params], named: Named, more: Mapping[str, Schema]) -> Schema:
    def table() -> Schema:
        found = params().fields
        properties = {name: _field(params, field, named) for name, field in found.items()}
        needed = [name for name, field in found.items() if field.required]
        schema = _object(properties | dict(more), needed)
        return schema | {"additionalProperties": False} | dict(params.also)

    return named(params.__name__.strip("_"), params, table)


def _object(properties: Mapping[str, Schema], needed: Sequence[str]) -> Schema:
    schema: Schema = {"type": "object", "properties": dict(properties)}
    return schema | ({"required": list(needed)} if needed else {})


def _field(params: type[Params], field: Any, named: Named) -> Schema:
    if isinstance(field, fields.ListField):
        schema = _list(field, named)
    else:
        schema = accepted(field) | {"description": field.accepts}
    if field.allow_null:
        schema["type"] = [*_types(schema), "null"]
        if "enum" in schema:
            schema["enum"] = [*schema["enum"], None]
    return schema | _default(params, field)


def _list(field: fields.ListField, named: Named) -> Schema:
    child = field.child
    items = _params(type(child), named, {}) if isinstance(child, Params) else accepted(child)
    schema: Schema = {"type": "array", "items": items, "maxItems": fields.MAX_LIST}
    return schema if field.allow_empty else schema | {"minItems": 1}


def _types(schema: Schema) -> list[str]:
    found = schema["type"]
    return [found] if isinstance(found, str) else list(found)


def _default(params: type[Params], field: Any) -> Schema:
    """Return the default, where the value that is built has one that the wire can show."""
    builds: Any = getattr(params, "builds", None)
    if (
        field.required
        or isinstance(field, fields.ListField)
        or not dataclasses.is_dataclass(builds)
    ):
        return {}
    declared = {each.name: each for each in dataclasses.fields(builds)}[str(field.source)]
    if declared.default_factory is not dataclasses.MISSING:
        return {"default": field.to_representation(declared.default_factory())}
    if declared.default is None or declared.default is dataclasses.MISSING:
        return {}
    return {"default": field.to_representation(declared.default)}


@singledispatch
def accepted(field: object) -> Schema:
    """Return what ``field`` takes; a kind of field that nobody described is a mistake of ours."""
    raise TypeError(f"{type(field).__name__} has no schema: register one, see wire.schemas")


@accepted.register
def _(field: fields.IntegerField) -> Schema:
    span = {"minimum": field.low, "maximum": field.high}
    return {"type": ["integer", "string"], **span, "pattern": _DIGITS}


@accepted.register
def _(field: fields.CodeField) -> Schema:
    return {
        "type": ["integer", "string"],
        "enum": [*field.words, *map(str, field.words)],
        "x-names": {str(code): word.name for code, word in field.words.items()},
    }


@accepted.register
def _(field: fields.WordField) -> Schema:
    return {"type": "string", "enum": list(field.words)}


@accepted.register
def _(field: fields.FlagField) -> Schema:
    return {"type": ["boolean", "integer", "string"], "enum": [True, False, 0, 1, "true", "false"]}


@accepted.register
def _(field: fields.TextField) -> Schema:
    schema: Schema = {"type": "string", "maxLength": field.high or field.max_bytes}
    return schema | ({"minLength": field.low, "pattern": r"\S"} if field.low else {})


@accepted.register
def _(field: contacts.UrlField) -> Schema:
    return {"type": "string", "maxLength": field.high, "pattern": "^(https?://[^/?#]+.*)?$"}


@accepted.register
def _(field: fields.ObjectField) -> Schema:
    return {"type": ["object", "string"], "contentMediaType": "application/json"}


@accepted.register
def _(field: fields.LabelsField) -> Schema:
    return {"type": "string", "maxLength": fields.MAX_LIST, "pattern": _LABELS}


@accepted.register
def _(field: fields.ZoneField) -> Schema:
    return {"type": "string", "pattern": "^[A-Za-z0-9_+/-]+$"}


def answer_schema(answer: Any, named: Named) -> Schema:
    """Return the schema of an annotation: basic types, lists, unions, enums, TypedDicts."""
    origin, words = get_origin(answer), get_args(answer)
    if origin is Annotated:
        return answer_schema(words[0], named) | _meaning(words[1])
    if origin in {Union, types.UnionType}:
        return _union([answer_schema(word, named) for word in words])
    if is_typeddict(answer):
        return named(answer.__name__, answer, lambda: _typed_dict(answer, named))
    if answer in _BASIC:
        return {"type": _BASIC[answer]}
    if origin in {list, Sequence}:
        return {"type": "array", "items": answer_schema(words[0], named)}
    if origin in {dict, Mapping}:
        return {"type": "object"}
    raise TypeError(f"{answer!r} cannot be part of an answer: use a TypedDict, see wire.schemas")


def _meaning(note: object) -> Schema:
    """Return what stands beside a type: a text, or the enum whose values it takes."""
    if isinstance(note, str):
        return {"description": note}
    assert isinstance(note, type)
    assert issubclass(note, Enum)
    named = ", ".join(f"{word.value} {word.name}" for word in note)
    plain = ", ".join(str(word.value) for word in note)
    is_word = issubclass(note, str)
    return {"enum": [word.value for word in note], "description": plain if is_word else named}


def _union(parts: list[Schema]) -> Schema:
    """Return either of ``parts``; what is nullable stays one schema where that can be said."""
    null = {"type": "null"}
    others = [part for part in parts if part != null]
    if len(others) == len(parts) or len(others) > 1 or "type" not in others[0]:
        return {"anyOf": parts}
    schema = others[0] | {"type": [*_types(others[0]), "null"]}
    return schema | ({"enum": [*schema["enum"], None]} if "enum" in schema else {})


def _typed_dict(answer: Any, named: Named) -> Schema:
    hints = get_type_hints(answer, include_extras=True)
    # The class itself cannot tell which keys it needs, since its annotations are text.
    needed = [name for name, hint in hints.items() if get_origin(hint) is not NotRequired]
    plain = {name: hint if name in needed else get_args(hint)[0] for name, hint in hints.items()}
    return _object({name: answer_schema(hint, named) for name, hint in plain.items()}, needed)
