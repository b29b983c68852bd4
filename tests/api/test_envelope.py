"""The envelope: what goes in, what comes out, and what never does (W-1 to W-5)."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from jobs import selectors
from jobs.models import Job
from tests.builders import make_task
from tests.caller import Answer, Caller, answer_of

STATUS = "/api/task/query/status"
SUBMIT = "/api/job/submit"
FORM = "application/x-www-form-urlencoded"


def submission(**changes: Any) -> dict[str, Any]:
    return {"jobName": "j", "jobType": "dummy", "content": "{}"} | changes


def test_a_form_is_answered_with_data_as_text(caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    reply = caller.post(STATUS, taskId=task.pk)

    assert (reply.status, reply.code, reply.msg) == (200, 0, "success")
    assert isinstance(reply.raw["data"], str)
    assert reply.data["taskId"] == task.pk


def test_parameters_as_an_object_are_answered_with_data_as_a_value(caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    reply = caller.elsewhere(as_json=True).post(STATUS, taskId=task.pk)

    assert isinstance(reply.raw["data"], dict)
    assert reply.data["taskId"] == task.pk


def test_parameters_as_text_in_a_json_body_are_answered_with_data_as_text(caller: Caller) -> None:
    task = make_task(job__app=caller.app)
    body = json.dumps(caller.envelope({"taskId": task.pk})).encode()

    reply = caller.send_raw(STATUS, body, "application/json; charset=UTF-8")

    assert isinstance(reply.raw["data"], str)


def test_reads_answer_get(caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    response = Client().get(STATUS, caller.envelope({"taskId": task.pk}))

    assert answer_of(response).data["taskId"] == task.pk


@pytest.mark.parametrize("method", ["get", "put", "delete", "options", "patch", "head"])
def test_another_method_is_405_in_an_envelope(method: str, caller: Caller) -> None:
    response = getattr(Client(), method)(SUBMIT)

    assert response.status_code == 405
    assert response["Content-Type"] == "application/json"
    assert response["Allow"] == "POST"
    if method != "head":
        assert answer_of(response).code == 1


@pytest.mark.parametrize("path", ["/api/", "/api", "/api/nothing", "/api/job/submit/", "/api/job"])
@pytest.mark.parametrize("debug", [False, True])
def test_an_unknown_path_is_404_in_an_envelope(path: str, debug: bool, settings: Any) -> None:
    settings.DEBUG = debug

    reply = answer_of(Client().post(path, HTTP_ACCEPT="text/html"))

    assert (reply.status, reply.code, reply.data) == (404, 1, {})


def test_a_reply_is_json_whatever_is_asked_for(caller: Caller) -> None:
    body = urlencode(caller.envelope({"taskId": 1})).encode()

    reply = caller.send_raw(STATUS, body, FORM, HTTP_ACCEPT="text/html")

    assert (reply.status, reply.msg) == (200, "no task 1")


def test_a_foreign_host_is_400_in_an_envelope() -> None:
    reply = answer_of(Client().post(SUBMIT, HTTP_HOST="evil.example"))

    assert (reply.status, reply.code) == (400, 1)


def test_everything_wrong_with_an_envelope_is_told_together(caller: Caller) -> None:
    reply = caller.send_raw(
        SUBMIT, b'{"user": 1, "appName": "", "parameters": []}', "application/json"
    )

    for name in ("user", "appName", "appToken", "parameters"):
        assert f"{name} " in reply.msg


@pytest.mark.parametrize("field", ["user", "appName", "appToken", "parameters"])
def test_a_missing_field_of_the_envelope_is_named(field: str, caller: Caller) -> None:
    fields = caller.envelope({"taskId": 1})
    del fields[field]

    reply = caller.send(STATUS, **fields)

    assert reply.code == 1
    assert reply.msg.startswith(f"{field} ")
    assert "missing" in reply.msg


@pytest.mark.parametrize("bad", ["a\x00b", "x" * 257, " "])
@pytest.mark.parametrize("field", ["user", "appName"])
def test_a_name_that_cannot_be_stored_is_refused(field: str, bad: str, caller: Caller) -> None:
    reply = caller.send(STATUS, **(caller.envelope({"taskId": 1}) | {field: bad}))

    assert (reply.code, reply.msg.split()[0]) == (1, field)


@pytest.mark.parametrize("parameters", ["", "[]", "1", "null", '"x"', "{", "{}x", "nan"])
def test_parameters_that_are_no_object_are_refused(parameters: str, caller: Caller) -> None:
    reply = caller.send(SUBMIT, **caller.envelope(parameters))

    assert reply.code == 1
    assert reply.msg.startswith("parameters ")


@pytest.mark.parametrize(
    ("params", "named"),
    [
        ('{"a": NaN}', "params.a"),
        ('{"a": [1e999]}', "params.a[0]"),
        ('{"a": %s}' % ("9" * 5000), "params.a"),
        ('{"a": "\\u0000"}', "params.a"),
        ('{"a": "\\ud800"}', "params.a"),
        ('{"a": 1, "a": 2}', "params.a"),
        ('{"a":' * 40 + "1" + "}" * 40, "params.a"),
    ],
)
@pytest.mark.parametrize("as_text", [False, True])
def test_what_no_column_can_hold_is_refused_inside_params_too(
    params: str, named: str, as_text: bool, caller: Caller
) -> None:
    inner = json.dumps(params) if as_text else params
    text = json.dumps(submission(params=0)).replace('"params": 0', f'"params": {inner}')

    reply = caller.send(SUBMIT, **caller.envelope(text))

    assert reply.code == 1
    assert reply.msg.startswith(named)
    assert not Job.objects.exists()


def test_what_breaks_is_9999_and_tells_the_log_and_nobody_else(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(*args: object, **kwargs: object) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(selectors, "job_of", broken)

    reply: Answer = caller.post("/api/job/query", jobId=1)

    assert (reply.status, reply.code, reply.data) == (500, 9999, {})
    assert "secret" not in reply.msg
    (fault,) = [record for record in caplog.records if record.message == "request.broken"]
    assert vars(fault)["fault_id"] in reply.msg
    assert "secret detail" in str(fault.exc_info)
