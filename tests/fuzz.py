"""Attacks the API with requests made from its own document: schemathesis, signed afresh each time.

Half of the ids in a request are replaced by ids that exist, so that requests get past "no job 7".
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.strategies import SearchStrategy
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from sentinel_project.wire import openapi
from sentinel_project.wire.fields import MAX_ID
from tests import documented
from tests.caller import Caller, sign
from tests.unit.test_wire_docs import TAIL

Operation = APIOperation[Any, Any, Any, Any]
JSON = "application/json"
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
_ENVELOPE = ("user", "appName", "appToken", "parameters")


@dataclass(slots=True)
class Attack:
    """Who attacks, with the ids that exist by the names of their fields; and what came of it."""

    caller: Caller
    ids: Mapping[str, list[int]]
    codes: Counter[int] = field(default_factory=Counter)

    def run(self, operation: Operation, cases: int, *, anew: bool) -> None:
        """Send so many requests, some that fit the document and some that do not.

        ``anew``: other ones than the last time.
        """
        forms = cycle([JSON, *FORMS])

        @settings(
            max_examples=cases,
            deadline=None,
            database=None,
            derandomize=not anew,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=_strategy(operation))
        def attack(case: Any) -> None:
            self.send(case, next(forms))

        attack()

    def send(self, case: Any, form: str) -> None:
        """Sign a request, send it, and hold the answer against the document."""
        fields = case.query if case.method == "GET" else case.body
        if isinstance(fields, dict):
            self._sign(fields)
            if case.media_type == JSON and form != JSON and set(fields) <= set(_ENVELOPE):
                case.body = fields | {"parameters": json.dumps(fields["parameters"])}
                case.media_type = form
        sent = requests.Request(**case.as_transport_kwargs(base_url="http://testserver")).prepare()
        response = self._post(sent)
        case.validate_response(response, checks=CHECKS)
        answer = json.loads(response.content)
        assert documented.problems_of(case.path, response.status_code, answer) == []
        self.codes[answer["code"]] += 1

    def _sign(self, fields: dict[str, Any]) -> None:
        """Put in what is true of the caller, where the request has something of that kind."""
        own = {"user": self.caller.user, "appName": self.caller.app.name}
        for name, value in (own | {"appToken": sign(self.caller.key)}).items():
            if isinstance(fields.get(name), str):
                fields[name] = value
        parameters = fields.get("parameters")
        if isinstance(parameters, str):
            parameters = _parsed(parameters)
            if parameters is not None:
                fields["parameters"] = json.dumps(self._known(parameters))
        else:
            fields["parameters"] = self._known(parameters)

    def _known(self, value: Any, name: str = "") -> Any:
        """Replace every other id by one that exists."""
        match value:
            case dict():
                return {each: self._known(part, each) for each, part in value.items()}
            case list():
                return [self._known(part, name) for part in value]
            case int() if name in self.ids and value % 2 and 0 < value <= MAX_ID:
                return self.ids[name][value // 2 % len(self.ids[name])]
            case _:
                return value

    def _post(self, sent: requests.PreparedRequest) -> schemathesis.Response:
        parts = urlsplit(sent.url or "")
        body = sent.body.encode() if isinstance(sent.body, str) else sent.body or b""
        found: Any = self.caller.client.generic(
            sent.method or "",
            parts.path,
            body,
            content_type=str(sent.headers.get("Content-Type", "")),
            QUERY_STRING=parts.query,
            REMOTE_ADDR=self.caller.address,
        )
        headers = {name: [value] for name, value in found.headers.items()}
        return schemathesis.Response(
            found.status_code, headers, found.content, sent, elapsed=0, verify=True
        )


def operations() -> Iterator[Operation]:
    """Yield what answers with an envelope; a stream is followed by tests of its own."""
    # One of its own: it is written to while requests are made from it.
    schema = schemathesis.openapi.from_dict(openapi.document())
    for each in schema.get_all_operations():
        assert isinstance(each, Ok)
        if each.ok().path != TAIL:
            yield each.ok()


def _strategy(operation: Operation) -> SearchStrategy[Any]:
    """Mix requests of both kinds; of bodies mostly JSON, which ``send`` also puts into forms."""
    modes = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    if operation.method.upper() == "GET":
        return operation.as_strategy(modes[0]) | operation.as_strategy(modes[1])
    kinds = [operation.as_strategy(mode, media_type=JSON) for mode in modes]
    any_form = operation.as_strategy(modes[1])
    return kinds[0] | kinds[1] | any_form


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return None
