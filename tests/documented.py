"""Holds real answers against what the OpenAPI document says of them; ``Caller`` does so always."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, cast

from jsonschema import Draft202012Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from sentinel_project.wire import openapi

_HERE = "urn:document"


@cache
def document() -> dict[str, Any]:
    return openapi.document()


def problems_of(path: str, status: int, raw: dict[str, Any]) -> list[str]:
    """Return how the answer to a POST differs from the document; one that is not in it has no say.

    Text in ``data`` is looked into. What the document does not name must not be there.
    """
    if "post" not in document()["paths"].get(path, {}):
        return []
    data = json.loads(raw["data"]) if isinstance(raw["data"], str) else raw["data"]
    validator = _validator(path, str(status))
    errors = validator.iter_errors(raw | {"data": data})
    return [f"{path} {status}: {error.message}: {_why(error)}" for error in errors]


def _why(error: Any) -> str:
    """Return the causes of a failed ``anyOf``, which by itself says only that it failed."""
    inner = [f"{list(each.path)} {each.message[:300]} {_why(each)}" for each in error.context or ()]
    return "; ".join(inner)


@cache
def _validator(path: str, status: str) -> Draft202012Validator:
    response = document()["paths"][path]["post"]["responses"][status]
    if "$ref" in response:
        response = document()["components"]["responses"][response["$ref"].rpartition("/")[2]]
    schema = _closed(response["content"]["application/json"]["schema"])
    return Draft202012Validator(_absolute(schema), registry=_registry())


@cache
def _registry() -> Registry[Any]:
    components = _absolute(_closed({"components": document()["components"]}))
    resource = Resource.from_contents(components, default_specification=DRAFT202012)
    return cast("Registry[Any]", Registry().with_resource(_HERE, resource))


def _closed(schema: Any) -> Any:
    """Let no object have a field that its schema does not name."""
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {name: _closed(part) for name, part in schema.items()}
    is_object = closed.get("type") == "object" and "properties" in closed
    return {"additionalProperties": False, **closed} if is_object else closed


def _absolute(schema: Any) -> Any:
    """Point references at the document, wherever the schema stands."""
    if isinstance(schema, list):
        return [_absolute(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _HERE + part if name == "$ref" else _absolute(part) for name, part in schema.items()
    }
