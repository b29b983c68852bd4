"""/api/schema and /api/docs: the document says what endpoints take and answer, and only that."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator
from rest_framework import serializers

from jobs.endpoint import Call, Endpoint
from sentinel_project.wire import openapi, schemas
from sentinel_project.wire.fields import WireField
from tests import documented
from tests.builders import make_task
from tests.caller import Caller
from tests.unit.test_wire_docs import TAIL, endpoints

PATHS = sorted(endpoints())


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    """Return address, method and description of what answers with an envelope."""
    paths = {path: told for path, told in documented.document()["paths"].items() if path != TAIL}
    return [(path, method, told) for path in paths for method, told in paths[path].items()]


OPERATIONS = [pytest.param(*each, id=f"{each[1]} {each[0]}") for each in operations()]


def test_the_document_is_openapi_3_1() -> None:
    document = documented.document()

    validate_schema(document)
    assert document["openapi"].startswith("3.1.")


def test_every_endpoint_is_in_the_document_with_its_methods() -> None:
    told = {(path, method) for path, method, _ in operations()}

    assert told == {(path, each) for path in PATHS for each in endpoints()[path].http_method_names}


def test_an_answer_with_another_shape_would_be_noticed(caller: Caller) -> None:
    """Every answer of every test is compared; a missing, an additional and a wrong field fail."""
    path, task = "/api/task/query/status", make_task(job__app=caller.app)
    raw = caller.elsewhere(as_json=True).post(path, taskId=task.pk).raw

    for data in ({"status": None}, {"more": 1}, {"status": "4"}, {"taskId": 1.5}):
        assert documented.problems_of(path, 200, raw | {"data": raw["data"] | data})
    assert documented.problems_of(path, 200, raw | {"data": {}})
    assert documented.problems_of(path, 200, {"code": 2, "msg": "x", "data": {}})


def test_following_a_log_is_told_as_a_stream_of_events() -> None:
    (told,) = documented.document()["paths"][TAIL].values()

    fields = {each["name"]: each["required"] for each in told["parameters"]}
    assert fields == dict.fromkeys(
        ("attemptId", "stream", "offset", "user", "appName", "appToken"), False
    ) | {"taskId": True}
    assert "text/event-stream" in told["responses"]["200"]["content"]
    assert {"400", "429", "500", "503"} <= set(told["responses"])


@pytest.mark.parametrize(("path", "method", "told"), OPERATIONS)
def test_examples_are_what_they_show(path: str, method: str, told: dict[str, Any]) -> None:
    """A request that is shown passes the endpoint's own fields, an answer its schema."""
    params = endpoints()[path].params
    examples = told["responses"]["200"]["content"]["application/json"]["examples"]

    assert params.read(request_of(method, told)) is not None
    for shown in examples.values():
        assert documented.problems_of(path, 200, shown["value"]) == []


def request_of(method: str, told: dict[str, Any]) -> dict[str, Any]:
    if method == "get":
        (field,) = [each for each in told["parameters"] if each["name"] == "parameters"]
        example: dict[str, Any] = field["content"]["application/json"]["example"]
        return example
    content = told["requestBody"]["content"]
    given: dict[str, Any] = content["application/json"]["example"]["parameters"]
    for form in ("application/x-www-form-urlencoded", "multipart/form-data"):
        assert json.loads(content[form]["example"]["parameters"]) == given
    return given


@pytest.mark.parametrize(("path", "method", "told"), OPERATIONS)
def test_every_operation_says_what_it_does_and_how_it_fails(
    path: str, method: str, told: dict[str, Any]
) -> None:
    assert re.fullmatch(r"[A-Z][^/]{5,}[^.]", told["summary"]), told["summary"]
    assert {"200", "400", "429", "500"} <= set(told["responses"])


def test_an_endpoint_that_does_not_say_what_it_answers_is_named() -> None:
    class Silent(Endpoint):
        def handle(self, call: Call, params: Any) -> object:
            return {}

    with pytest.raises(openapi.Undescribed, match=r"Silent\.handle must be annotated"):
        openapi.answer_of(Silent)


def test_a_field_that_nobody_described_is_named() -> None:
    class OddField(WireField):
        accepts = "something odd"

    with pytest.raises(TypeError, match="OddField has no schema"):
        schemas.accepted(OddField())
    with pytest.raises(TypeError, match="CharField has no schema"):
        schemas.accepted(serializers.CharField())


def test_the_document_is_served_to_anybody(client: Client) -> None:
    response = client.get("/api/schema", HTTP_ACCEPT="text/html")

    assert response["Content-Type"] == "application/json"
    assert json.loads(response.content) == documented.document()


@pytest.mark.parametrize("path", ["/api/schema", "/api/docs"])
def test_another_method_is_refused_with_an_envelope(path: str, client: Client) -> None:
    response = client.post(path)

    assert (response.status_code, response.json()["code"]) == (405, 1)


def test_schemas_of_the_document_are_json_schema() -> None:
    for schema in documented.document()["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)


def test_the_docs_come_from_this_server_alone(client: Client) -> None:
    page = client.get("/api/docs", HTTP_ACCEPT="text/html").content.decode()

    addresses = re.findall(r"""(?:src|href|url)[=:]\s*["']([^"']+)["']""", page)
    files = [address for address in addresses if address.startswith("/static/")]
    assert len(files) >= 3
    assert [address for address in addresses if not address.startswith("/")] == []
    assert [file for file in files if not finders.find(file.removeprefix("/static/"))] == []
    assert '"validatorUrl": null' in page
    assert "/api/schema" in page
