"""The OpenAPI document: made of the URL conf, of ``params`` and of what ``handle`` returns.

An endpoint says nothing for it twice. Its ``params`` are the request; the annotation of what
``handle`` returns, a ``TypedDict`` or ``Reply[…]`` of one, is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, get_args, get_origin, get_type_hints

from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.plumbing import ComponentRegistry, ResolvedComponent

from sentinel_project.wire import jsontext, schemas
from sentinel_project.wire.body import MAX_NAME, MAX_TOKEN
from sentinel_project.wire.envelope import Reply
from sentinel_project.wire.examples import example
from sentinel_project.wire.params import REQUEST_ID, Params
from sentinel_project.wire.schemas import Schema

_TOKEN = "1772600000c932fc5830b82026327c821a39e0b5df"  # noqa: S105 (the documents' worked example)
_REFERENCE = "#/components/schemas/"
_NOTHING = [{}, "{}"]
_RULE = re.compile(r" \([A-Z]-\d+(?:, [A-Z]-\d+)*\)")
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")

_WORD: Schema = {"type": "string", "minLength": 1, "maxLength": MAX_NAME, "pattern": r"\S"}
_ENVELOPE: Mapping[str, Schema] = {
    "user": _WORD
    | {
        "description": "who acts within your system; recorded, not authenticated",
        "examples": ["ann"],
    },
    "appName": _WORD | {"description": "your app", "examples": ["billing"]},
    "appToken": _WORD
    | {
        "description": "timestamp and lower-case hexadecimal MD5 of appKey + timestamp, or the "
        "strong form, v2:…",
        "maxLength": MAX_TOKEN,
        "examples": [_TOKEN],
    },
}
_PARAMETERS = "what the endpoint is to do; text of JSON, or in a JSON body the object itself"

#: Schemas that every endpoint shares.
_SHARED: Mapping[str, Schema] = {
    "Refused": {
        "description": "You can mend it: msg names every problem.",
        "type": "object",
        "required": ["code", "msg", "data"],
        "properties": {
            "code": {"const": 1},
            "msg": {"type": "string", "minLength": 1},
            "data": {"enum": _NOTHING},
        },
        "examples": [{"code": 1, "msg": "no job 7", "data": {}}],
    },
    "Broken": {
        "description": "We broke; msg holds the id of the entry in the server's log.",
        "type": "object",
        "required": ["code", "msg", "data"],
        "properties": {
            "code": {"const": 9999},
            "msg": {"type": "string", "minLength": 1},
            "data": {"enum": _NOTHING},
        },
        "examples": [
            {"code": 9999, "msg": "system failure, see the server's log for 1f2e3d", "data": {}}
        ],
    },
}
_ERRORS: Mapping[str, tuple[str, str]] = {
    "400": ("Refused", "The Host header is none of ours."),
    "413": ("Refused", "The body has more than 2 MiB."),
    "415": ("Refused", "Another content type or charset, or a compressed body."),
    "429": ("Refused", "Too many wrong tokens from this address for this app: wait a minute."),
    "500": ("Broken", "We broke."),
}
#: What only a request with a body can be refused for.
_OF_BODIES = {"413", "415"}


class Undescribed(TypeError):
    """An endpoint does not say what it answers."""


def answer_of(view: type) -> tuple[Any, bool]:
    """Return what an endpoint's ``data`` holds, and whether its code may be 1 nevertheless.

    Endpoints that share one ``handle`` say by ``answers`` what it is to each of them.
    """
    handle = getattr(view, "handle", None)
    hints = get_type_hints(handle, include_extras=True) if handle else {}
    returned = getattr(view, "answers", None) or hints.get("return")
    is_reply = get_origin(returned) is Reply
    answer = get_args(returned)[0] if is_reply else returned
    if answer in {None, object, Any, Reply}:
        raise Undescribed(
            f"{view.__name__}.handle must be annotated with what it answers: a TypedDict, "
            "or Reply[…] of one if the code is not always 0"
        )
    return answer, is_reply


class EnvelopeSchema(AutoSchema):
    """One endpoint as an operation of the document."""

    def get_operation(
        self,
        path: str,
        path_regex: str,
        path_prefix: str,
        method: str,
        registry: ComponentRegistry,
    ) -> Schema:
        names = _Names(registry)
        view: Any = type(self.view)
        words = path.removeprefix("/api/").split("/")
        return {
            "operationId": "_".join([*words, method.lower()]),
            "summary": _summary(view),
            "tags": [words[0]],
            **self._request(method, view.params, names),
            "responses": self._responses(method, names),
        }

    def _request(self, method: str, params: type[Params], names: _Names) -> Schema:
        asked = schemas.params_schema(params, names)
        sample = dict(params.example) or example(asked, names.found)
        return (_query if method == "GET" else _body)(asked, sample, names)

    def _responses(self, method: str, names: _Names) -> Schema:
        answer, may_refuse = answer_of(type(self.view))
        data = schemas.answer_schema(answer, names)
        refused = names.shared(_SHARED, "Refused")
        done = example(data, names.found)
        told = {
            "done": {"value": {"code": 0, "msg": "success", "data": done}},
            "refused": {"value": _SHARED["Refused"]["examples"][0]},
        }
        ok = {"schema": {"anyOf": [_done(data, may_refuse), refused]}, "examples": told}
        answers = {"200": {"description": _OK, "content": {"application/json": ok}}}
        return answers | {
            status: names.error(status)
            for status in _ERRORS
            if method == "POST" or status not in _OF_BODIES
        }


class TailSchema(EnvelopeSchema):
    """A stream of events, asked for by plain fields of a query string."""

    def _request(self, method: str, params: type[Params], names: _Names) -> Schema:
        """Return the parameters as fields; the envelope's are not needed in a session."""
        table = names.found(schemas.params_schema(params, names)["$ref"])
        own = {name: each for name, each in table["properties"].items() if name != REQUEST_ID}
        fields = own | _words(names)
        return {
            "parameters": [
                {"name": n, "in": "query", "required": n in table["required"], "schema": schema}
                for n, schema in fields.items()
            ]
        }

    def _responses(self, method: str, names: _Names) -> Schema:
        content = {
            "text/event-stream": {"schema": {"type": "string"}, "example": _EVENTS},
            "application/json": {"schema": names.shared(_SHARED, "Refused")},
        }
        busy = {"503": names.error("503", "So many follow already: poll, or try again later.")}
        answers = {"200": {"description": "Events, or a refusal.", "content": content}}
        return answers | {each: names.error(each) for each in ("400", "429", "500")} | busy


_EVENTS = 'id: 6\ndata: {"log":"hello\\n"}\n\nevent: end\nid: 6\ndata: {"offset":6}\n\n'
_OK = "Done (code 0) or refused (code 1). data is text if parameters came as text."


def _summary(view: type) -> str:
    """Return the first line of the docstring, without the address and the rules it cites."""
    line = (view.__doc__ or "").strip().partition("\n")[0]
    said = _RULE.sub("", line.partition(": ")[2] or line).removesuffix(".")
    return said[:1].upper() + said[1:]


def _done(data: Schema, may_refuse: bool) -> Schema:
    code: Schema = {"const": 0}
    msg: Schema = {"const": "success"}
    if may_refuse:
        code = {"enum": [0, 1], "description": "1: some were refused, each for itself"}
        msg = {"type": "string"}
    both = {"anyOf": [data, schemas.as_text(data)]}
    return {
        "type": "object",
        "required": ["code", "msg", "data"],
        "properties": {"code": code, "msg": msg, "data": both},
    }


def _query(asked: Schema, sample: object, names: _Names) -> Schema:
    """Return the four fields in the query string, ``parameters`` as the text of JSON."""
    content = {"application/json": {"schema": asked, "example": sample}}
    kinds: dict[str, Schema] = {name: {"schema": schema} for name, schema in _words(names).items()}
    kinds["parameters"] = {"description": _PARAMETERS, "content": content}
    field = {"in": "query", "required": True}
    return {"parameters": [{"name": name, **field, **kind} for name, kind in kinds.items()]}


def _body(asked: Schema, sample: object, names: _Names) -> Schema:
    """Return the JSON body, with the object, and the two forms, with its text."""
    shown = {name: schema["examples"][0] for name, schema in _ENVELOPE.items()}
    as_json = {
        "schema": _fields(asked, names),
        "example": shown | {"parameters": sample},
    }
    as_form = {
        "schema": _fields(schemas.as_text(asked), names),
        "example": shown | {"parameters": jsontext.dumps(sample)},
    }
    content = {"application/json": as_json} | dict.fromkeys(_FORMS, as_form)
    return {"requestBody": {"required": True, "content": content}}


def _fields(parameters: Schema, names: _Names) -> Schema:
    properties = _words(names) | {"parameters": parameters | {"description": _PARAMETERS}}
    return {"type": "object", "required": list(properties), "properties": properties}


def _words(names: _Names) -> dict[str, Schema]:
    """Return the fields of the envelope that are the same for every endpoint."""
    return {name: names.shared(_ENVELOPE, name, "Caller") for name in _ENVELOPE}


class _Names:
    """Gives schemas their names in the document; the same name twice is a mistake of ours."""

    def __init__(self, registry: ComponentRegistry) -> None:
        self._registry = registry

    def __call__(self, name: str, owner: object, build: Callable[[], Schema]) -> Schema:
        try:
            known = self._part(name)
        except KeyError:
            known = ResolvedComponent(name, ResolvedComponent.SCHEMA, object=owner)
            self._registry.register(known)
            known.schema = build()
        if known.object is not owner:
            raise TypeError(f"two schemas are called {name}: {known.object} and {owner}")
        return {"$ref": _REFERENCE + name}

    def shared(self, book: Mapping[str, Schema], name: str, prefix: str = "") -> Schema:
        """Return the reference to a schema of ``book``, which endpoints share."""
        return self(prefix + name[0].upper() + name[1:], book, lambda: dict(book[name]))

    def error(self, status: str, meaning: str = "") -> Schema:
        """Return the reference to an error that endpoints share."""
        kind, why = _ERRORS.get(status, ("Refused", meaning))
        name = f"Error{status}"
        content = {"application/json": {"schema": self.shared(_SHARED, kind)}}
        part = ResolvedComponent(name, ResolvedComponent.RESPONSE, object=_ERRORS)
        part.schema = {"description": why, "content": content}
        self._registry.register_on_missing(part)
        return {"$ref": f"#/components/responses/{name}"}

    def found(self, reference: str) -> Schema:
        """Return the schema behind a reference."""
        schema = self._part(reference.removeprefix(_REFERENCE)).schema
        assert isinstance(schema, dict)
        return schema

    def _part(self, name: str) -> ResolvedComponent:
        return self._registry[name, ResolvedComponent.SCHEMA]


def document() -> Schema:
    """Return the whole document, of every endpoint in the URL conf."""
    made = SchemaGenerator().get_schema(request=None, public=True)
    assert isinstance(made, dict)
    return made
