"""Bodies as strangers send them: forms, JSON, chunks, and every kind of rubbish (W-1, W-5)."""

from __future__ import annotations

import json
from io import BytesIO
from urllib.parse import urlencode

import pytest

from jobs.models import Job
from tests.builders import make_task
from tests.caller import Caller

STATUS = "/api/task/query/status"
SUBMIT = "/api/job/submit"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data; boundary=xYzZY"


def multipart(fields: dict[str, str]) -> bytes:
    parts = (
        f'--xYzZY\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in fields.items()
    )
    return ("".join(parts) + "--xYzZY--\r\n").encode()


def test_multipart_is_a_form(caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    reply = caller.send_raw(STATUS, multipart(caller.envelope({"taskId": task.pk})), MULTIPART)

    assert reply.data["taskId"] == task.pk


@pytest.mark.parametrize("kind", ["form", "multipart", "json"])
def test_every_kind_of_body_is_utf_8(kind: str, caller: Caller) -> None:
    text = json.dumps(
        {"jobName": "每日结算 é", "jobType": "dummy", "content": "{}"}, ensure_ascii=False
    )
    fields = caller.envelope(text)
    bodies = {
        "form": (urlencode(fields).encode(), FORM),
        "multipart": (multipart(fields), MULTIPART),
        "json": (json.dumps(fields).encode(), "application/json"),
    }

    reply = caller.send_raw(SUBMIT, *bodies[kind])

    assert reply.code == 0
    assert Job.objects.get().name == "每日结算 é"


@pytest.mark.parametrize("size", [2 * 1024 * 1024 + 1, 3 * 1024 * 1024])
def test_a_body_above_two_mebibytes_is_413(size: int, caller: Caller) -> None:
    reply = caller.send_raw(SUBMIT, b"a=" + b"x" * (size - 2), FORM)

    assert (reply.status, reply.code) == (413, 1)
    assert not Job.objects.exists()


def test_a_body_of_two_mebibytes_is_read(caller: Caller) -> None:
    start = urlencode(caller.envelope({"taskId": 1})).encode() + b"&padding="

    reply = caller.send_raw(STATUS, start.ljust(2 * 1024 * 1024, b"x"), FORM)

    assert reply.msg == "no task 1"


@pytest.mark.parametrize(
    ("content_type", "headers"),
    [
        ("text/plain", {}),
        ("", {}),
        ("application/xml", {}),
        ("application/x-www-form-urlencoded; charset=latin-1", {}),
        (FORM, {"HTTP_CONTENT_ENCODING": "gzip"}),
        ("application/json", {"HTTP_CONTENT_ENCODING": "br"}),
    ],
)
def test_another_type_or_encoding_is_415(
    content_type: str, headers: dict[str, str], caller: Caller
) -> None:
    body = urlencode(caller.envelope({"taskId": 1})).encode()

    reply = caller.send_raw(STATUS, body, content_type, **headers)

    assert (reply.status, reply.code) == (415, 1)


@pytest.mark.parametrize(
    ("body", "content_type", "said"),
    [
        pytest.param(b"{", "application/json", "the body is not JSON", id="cut JSON"),
        pytest.param(b"[]", "application/json", "the body must be a JSON object", id="list"),
        pytest.param(b"\xff", "application/json", "the body is not UTF-8", id="not UTF-8"),
        pytest.param(b"[" * 900_000, "application/json", "nested deeper", id="brackets"),
        pytest.param(b"user=%ff", FORM, "user is not UTF-8", id="form not UTF-8"),
        pytest.param(b"%ff=1", FORM, "a field's name is not UTF-8", id="name not UTF-8"),
        pytest.param(b"user=a&user=b", FORM, "is given twice", id="twice"),
        pytest.param(b"a&" * 200, FORM, "more than the 100 fields", id="many fields"),
        pytest.param(b"&", FORM, "user is missing", id="empty form"),
        pytest.param(b"rubbish", MULTIPART, "user is missing", id="empty multipart"),
        pytest.param(b"x", "multipart/form-data", "multipart/form-data", id="no boundary"),
    ],
)
def test_a_malformed_body_is_refused_by_name(
    body: bytes, content_type: str, said: str, caller: Caller
) -> None:
    reply = caller.send_raw(SUBMIT, body, content_type)

    assert (reply.status, reply.code) == (200, 1)
    assert said in reply.msg


def test_a_file_is_refused_by_name(caller: Caller) -> None:
    body = (
        b'--xYzZY\r\nContent-Disposition: form-data; name="parameters"; filename="a.json"\r\n'
        b"Content-Type: application/json\r\n\r\n{}\r\n--xYzZY--\r\n"
    )

    reply = caller.send_raw(SUBMIT, body, MULTIPART)

    assert reply.msg == "parameters is a file; only plain fields are accepted"


def test_bytes_that_are_not_utf_8_in_multipart_are_refused_and_not_replaced(
    caller: Caller,
) -> None:
    body = multipart(caller.envelope({})).replace(b"ann", b"a\xffn")

    assert caller.send_raw(SUBMIT, body, MULTIPART).msg == "user is not UTF-8 at byte 1"


@pytest.mark.parametrize("kind", ["form", "multipart"])
@pytest.mark.parametrize(("terminated", "said"), [(True, "no task 1"), (False, "Content-Length")])
def test_a_body_in_chunks_is_read_where_the_server_can(
    kind: str, terminated: bool, said: str, caller: Caller
) -> None:
    fields = caller.envelope({"taskId": 1})
    body = multipart(fields) if kind == "multipart" else urlencode(fields).encode()
    environ = {
        "CONTENT_TYPE": MULTIPART if kind == "multipart" else FORM,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": BytesIO(body),
        "wsgi.input_terminated": terminated,
    }

    reply = caller.send_raw(STATUS, b"", "", **environ)

    assert said in reply.msg
