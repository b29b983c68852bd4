"""/api/schema and /api/docs: the document says what endpoints take and answer, and only that."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.staticfiles import finders
from django.test import Client
from drf_spectacular.validation import validate_schema
from jsonschema import Draft202012Validator
from rest_framework import serializers

from jobs.endpoint import Call, Endpoint
from jobs.models import BizGroup, Department, Job
from logs_app.models import StreamKind
from sentinel_project.wire import openapi, schemas
from sentinel_project.wire.fields import WireField
from tasks_app import workers
from tasks_app.models import Gap
from tasks_app.rules.states import TaskKind, TaskStatus
from tasks_app.workers import Registration
from tests import documented
from tests.api.jobs import millis, slot_in, submit
from tests.builders import make_output, make_task
from tests.caller import Answer, Caller
from tests.unit.test_wire_docs import endpoints

PATHS = sorted(endpoints())
NEW = {"jobName": "new", "jobType": "dummy", "content": "{}"}
DAILY = [{"operatorMode": 1, "expression": "0 4 * * *"}]
SPAN = {"from": "PAST", "to": "SOON"}

#: A call of each endpoint that succeeds, in the world below; names in capitals stand for its ids
#: and instants. A new endpoint needs a row here.
CALLS: dict[str, dict[str, Any]] = {
    "/api/job/submit": NEW | {"scheduleExpressionList": DAILY},
    "/api/job/edit": {"jobId": "JOB", "content": "x"},
    "/api/job/dependency/set": {
        "jobId": "JOB",
        "dependencyList": [{"operatorMode": 2, "preJobId": "UPSTREAM", "offsetStrategy": "d(-1)"}],
    },
    "/api/job/scheduleExp/set": {"jobId": "JOB", "scheduleExpressionList": DAILY},
    "/api/job/status/set": {"jobIds": ["JOB"], "status": 2},
    "/api/job/preview": {"jobId": "JOB"},
    "/api/job/query": {"jobId": "JOB"},
    "/api/job/query/taskIds": {"jobId": "JOB", "limit": 1},
    "/api/job/query/status": {"jobId": "ONE_OFF"},
    "/api/job/list": {},
    "/api/job/queryRelation": {"jobId": "JOB", "relationType": 1},
    "/api/job/plan": {"from": "TODAY", "to": "SOON"},
    "/api/job/run": {"jobId": "JOB"},
    "/api/job/skip": {"jobId": "JOB", "scheduleTime": "SOON"},
    "/api/job/fill": {"jobId": "JOB"} | SPAN,
    "/api/task/query/status": {"taskId": "TASK"},
    "/api/task/query": {"taskId": "TASK"},
    "/api/task/queryRelation": {"taskId": "TASK", "relationType": 1},
    "/api/task/explain": {"jobId": "JOB", "scheduleTime": "SOON"},
    "/api/task/timeline": {"taskId": "TASK"},
    "/api/task/kill": {"taskIds": ["READY"]},
    "/api/task/retry": {"taskIds": ["FAILED"]},
    "/api/task/remove": {"taskIds": ["FAILED"]},
    "/api/task/rerun": {"jobIdList": ["JOB"], "startDate": "PAST", "endDate": "TODAY"},
    "/api/task/modify/status": {"taskId": "FAILED", "status": 4},
    "/api/system/status/get": {},
    "/api/system/status/set": {"status": 2},
    "/api/task/query/result": {"taskId": "TASK"},
    "/api/task/query/log": {"taskId": "TASK"},
    "/api/log/readResult": {"taskId": "TASK"},
    "/api/log/readExecuteLog": {"taskId": "TASK"},
    "/api/job/grant/set": {"jobId": "JOB", "appNames": ["other"]},
    "/api/job/grant/list": {"jobId": "JOB"},
    "/api/app/add": {"appName": "third"},
    "/api/app/edit": {"appName": "other", "owner": "ann"},
    "/api/app/delete": {"appName": "other"},
    "/api/app/rotateKey": {"appName": "other"},
    "/api/app/list": {},
    "/api/workerGroup/add": {"workerGroupName": "heavy"},
    "/api/workerGroup/edit": {"workerGroupId": 1, "workerGroupName": "light"},
    "/api/workerGroup/status/set": {"workerGroupId": 1, "status": 2},
    "/api/workerGroup/list": {},
    "/api/worker/list": {},
    "/api/department/add": {"departmentName": "sales"},
    "/api/department/edit": {"departmentId": "DEPARTMENT", "departmentName": "sales"},
    "/api/department/delete": {"departmentId": "DEPARTMENT"},
    "/api/department/list": {},
    "/api/bizGroup/add": {"bizGroupName": "reports"},
    "/api/bizGroup/edit": {"bizGroupId": "BIZ_GROUP", "bizGroupName": "reports"},
    "/api/bizGroup/delete": {"bizGroupId": "BIZ_GROUP"},
    "/api/bizGroup/list": {},
}


@dataclass(frozen=True, slots=True)
class World:
    """An ADMIN app with one of everything that the calls above ask for."""

    caller: Caller
    words: dict[str, Any]

    def ask(self, path: str, *, as_json: bool) -> Answer:
        caller = self.caller.elsewhere(as_json=as_json)
        return caller.post(path, **self._put(CALLS[path]))

    def _put(self, value: Any) -> Any:
        match value:
            case dict():
                return {name: self._put(part) for name, part in value.items()}
            case list():
                return [self._put(part) for part in value]
            case str():
                return self.words.get(value, value)
            case _:
                return value


@pytest.fixture
def world(admin_caller: Caller, other: Caller) -> World:
    upstream = submit(admin_caller, "upstream", "0 3 * * *")
    job = submit(admin_caller, "job", "0 3 * * *")
    job.dependencies.create(upstream=upstream, offset="cd")
    past, soon = slot_in(-9), slot_in(2)
    Job.objects.filter(pk=job.pk).update(floor_at=past - timedelta(days=1))
    job.expressions.update(floor_at=past - timedelta(days=1))
    Gap.objects.create(
        job=job, from_at=past, to_at=past, count=1, reason="CAPPED", created_at=slot_in(-8)
    )
    one_off = submit(admin_caller, "one-off", isTemp=True)
    attempt = make_output(b"hello", kind=StreamKind.RESULT, is_closed=True, task__job=job)
    make_task(TaskStatus.SUCCESS, job=job, due_at=slot_in(-3))
    workers.register(
        Registration(
            name=attempt.worker,
            host="h",
            pid=1,
            pool="prefork",
            slots=4,
            group_ids=[1],
            containment="",
        ),
        now=slot_in(0),
    )
    words = {
        "JOB": job.pk,
        "UPSTREAM": upstream.pk,
        "ONE_OFF": one_off.pk,
        "TASK": attempt.task_id,
        "READY": make_task(job=job, due_at=slot_in(-1)).pk,
        "FAILED": make_task(TaskStatus.FAILED, job=job, kind=TaskKind.MANUAL.value).pk,
        "DEPARTMENT": Department.objects.create(name="finance").pk,
        "BIZ_GROUP": BizGroup.objects.create(name="ledgers").pk,
        "PAST": millis(past),
        "TODAY": millis(slot_in(0)),
        "SOON": millis(soon),
    }
    return World(admin_caller, words)


def operations() -> list[tuple[str, str, dict[str, Any]]]:
    paths = documented.document()["paths"]
    return [(path, method, told) for path in paths for method, told in paths[path].items()]


OPERATIONS = [pytest.param(*each, id=f"{each[1]} {each[0]}") for each in operations()]


def test_the_document_is_openapi_3_1() -> None:
    document = documented.document()

    validate_schema(document)
    assert document["openapi"].startswith("3.1.")


def test_every_endpoint_is_in_the_document_with_its_methods() -> None:
    told = {(path, method) for path, method, _ in operations()}

    assert told == {(path, each) for path in PATHS for each in endpoints()[path].http_method_names}


def test_every_endpoint_has_a_call_that_succeeds() -> None:
    assert sorted(CALLS) == PATHS


@pytest.mark.parametrize("as_json", [True, False], ids=["object", "text"])
@pytest.mark.parametrize("path", PATHS)
def test_an_endpoint_answers_what_the_document_says(path: str, as_json: bool, world: World) -> None:
    answer = world.ask(path, as_json=as_json)

    assert answer.code == 0, answer.msg
    assert documented.problems_of(path, answer.status, answer.raw) == []


def test_an_answer_with_another_shape_would_be_noticed(world: World) -> None:
    """Of the comparison itself: a missing, an additional and a wrong field each fail it."""
    path = "/api/task/query/status"
    raw = world.ask(path, as_json=True).raw

    for data in ({"status": None}, {"more": 1}, {"status": "4"}, {"taskId": 1.5}):
        assert documented.problems_of(path, 200, raw | {"data": raw["data"] | data})
    assert documented.problems_of(path, 200, raw | {"data": {}})
    assert documented.problems_of(path, 200, {"code": 2, "msg": "x", "data": {}})


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
