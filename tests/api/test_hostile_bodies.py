"""Bodies as attackers make them: refused in an envelope, at a bounded cost, for nothing (W-5)."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import AuditEntry, Job, RequestRecord
from tests.api.samples import NEW
from tests.builders import make_task
from tests.caller import Answer, Caller, answer_of

SUBMIT = "/api/job/submit"
STATUS = "/api/task/query/status"
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
MULTIPART = "multipart/form-data; boundary=xYzZY"
PART = b"--xYzZY\r\nContent-Disposition: form-data; name="
MEGABYTE = 1024 * 1024


@contextmanager
def nothing_stored() -> Iterator[None]:
    yield
    stored = [
        model.__name__ for model in (Job, AuditEntry, RequestRecord) if model.objects.exists()
    ]
    assert stored == []


def refused(reply: Answer, *said: str, status: tuple[int, ...] = (200,)) -> None:
    assert (reply.code, reply.data) == (1, {}), reply.msg[:300]
    assert reply.status in status
    assert all(word in reply.msg for word in said), reply.msg[:300]
    assert len(reply.msg) < 20_000


# -- kinds of nothing ------------------------------------------------------------------------------


@pytest.mark.parametrize("content_type", [FORM, JSON, MULTIPART])
@pytest.mark.parametrize("body", [b"", b" ", b"null", b"[]", b"{}", b'""', b"0", b"true", b"[{}]"])
def test_an_empty_body_and_what_is_no_object_are_refused(
    body: bytes, content_type: str, caller: Caller
) -> None:
    with nothing_stored():
        refused(caller.send_raw(SUBMIT, body, content_type), status=(200, 415))


@pytest.mark.parametrize("silly", [None, [], "", 0, True, "null", "[]", '"{}"', "{}{}", "\ufeff{}"])
def test_parameters_that_are_no_object_are_refused(silly: Any, caller: Caller) -> None:
    asking = caller.elsewhere(as_json=True)

    with nothing_stored():
        refused(asking.send(SUBMIT, **(asking.envelope({}) | {"parameters": silly})), "parameters")


# -- the wrong kind of body ------------------------------------------------------------------------


def test_a_body_that_its_content_type_lies_about_is_refused(caller: Caller) -> None:
    fields = caller.envelope(json.dumps(NEW))
    form, as_json = urlencode(fields).encode(), json.dumps(fields).encode()

    with nothing_stored():
        refused(caller.send_raw(SUBMIT, as_json, FORM), "user is missing")
        refused(caller.send_raw(SUBMIT, form, JSON), "not JSON")
        refused(caller.send_raw(SUBMIT, form, MULTIPART), "user is missing")
        refused(caller.send_raw(SUBMIT, as_json, MULTIPART), "user is missing")


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress], ids=["gzip", "deflate"])
@pytest.mark.parametrize("says", [True, False], ids=["said", "unsaid"])
def test_a_compressed_body_is_never_unpacked(says: bool, pack: Any, caller: Caller) -> None:
    """A small one could hold gigabytes."""
    body = pack(b" " * 50 * MEGABYTE)
    headers = {"HTTP_CONTENT_ENCODING": "gzip"} if says else {}

    with nothing_stored():
        reply = caller.send_raw(SUBMIT, body, JSON, **headers)

    assert (reply.status, reply.code) == ((415, 1) if says else (200, 1))


@pytest.mark.parametrize(
    "content_type",
    [
        f"{FORM}; charset=utf-7",
        f"{JSON}; charset=utf-16",
        f"{FORM}; charset=iso-8859-1",
        "multipart/mixed; boundary=x",
        "text/html",
        "application/jsonx",
        "x" * 5_000,
        "application/json" + ";a=b" * 2_000,
    ],
    ids=range(8),
)
def test_a_content_type_of_no_known_kind_breaks_nothing(content_type: str, caller: Caller) -> None:
    body = json.dumps(caller.elsewhere(as_json=True).envelope(NEW)).encode()

    reply = caller.send_raw(SUBMIT, body, content_type)

    assert reply.status in {200, 415}
    assert reply.code == (0 if Job.objects.exists() else 1)


@pytest.mark.parametrize("name", ["user", "appName", "appToken", "parameters", "us%65r"])
def test_a_form_key_that_comes_twice_is_refused(name: str, caller: Caller) -> None:
    fields = urlencode(caller.envelope(NEW))

    with nothing_stored():
        refused(caller.send_raw(SUBMIT, f"{fields}&{name}=x".encode(), FORM), "given twice")


@pytest.mark.parametrize("where", ["the body", "parameters"])
def test_a_json_name_that_comes_twice_is_refused(where: str, caller: Caller) -> None:
    fields = caller.envelope('{"jobName": "a", "jobName": "b", "jobType": "dummy", "content": "1"}')
    if where == "the body":
        text = json.dumps(caller.envelope(NEW))
        body = (text[:-1] + f', "parameters": {json.dumps(fields["parameters"])}}}').encode()
    else:
        body = json.dumps(fields).encode()

    with nothing_stored():
        refused(caller.send_raw(SUBMIT, body, JSON))


def test_parameters_encoded_once_too_often_are_refused(caller: Caller) -> None:
    text = json.dumps(NEW)

    with nothing_stored():
        refused(caller.send(SUBMIT, **caller.envelope(json.dumps(text))), "parameters must be")
        refused(caller.send(SUBMIT, **caller.envelope(quote(text))), "parameters is not JSON")


# -- size and depth --------------------------------------------------------------------------------


def test_a_body_of_a_hundred_megabytes_is_413_and_nobody_is_asked_who_sends_it(
    caller: Caller,
) -> None:
    with CaptureQueriesContext(connection) as queries:
        reply = caller.send_raw(SUBMIT, b"a=" + b"x" * 100 * MEGABYTE, FORM)

    assert (reply.status, reply.code) == (413, 1)
    assert len(queries) == 0


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":['], ids=["lists", "objects", "both"])
@pytest.mark.parametrize("is_closed", [True, False])
def test_a_hundred_thousand_levels_are_refused(
    is_closed: bool, opening: str, caller: Caller
) -> None:
    closing = {"[": "]", '{"a":': "}", '[{"a":[': "]}]"}[opening]
    tower = opening * 100_000 + ("1" + closing * 100_000 if is_closed else "")
    inner = json.dumps(NEW)[:-1] + f', "params": {tower}}}'

    with nothing_stored():
        for body in (tower, inner, json.dumps(NEW | {"params": tower})):
            fields = json.dumps(caller.envelope(body)).encode()
            refused(caller.send_raw(SUBMIT, fields, JSON), "deeper than the 32", status=(200, 413))


def test_two_hundred_thousand_keys_are_refused_without_naming_them_all(caller: Caller) -> None:
    keys = "{" + ",".join(f'"{number:x}":1' for number in range(180_000)) + "}"

    with nothing_stored():
        refused(caller.send_raw(SUBMIT, keys.encode(), JSON), "user is missing")
        refused(caller.send(SUBMIT, **caller.envelope(keys)), status=(413,))
        fields = json.dumps(caller.envelope(keys[:1_200_000] + "1}")).encode()
        refused(caller.send_raw(SUBMIT, fields, JSON))
        refused(caller.send_raw(SUBMIT, b"&".join(b"%x=1" % n for n in range(200_000)), FORM))


def test_tens_of_thousands_of_keys_in_free_params_are_the_jobs_own(caller: Caller) -> None:
    """They fit into the body, and nothing looks at them one by one but the parser."""
    params = {f"{number:x}": 1 for number in range(20_000)}

    reply = caller.elsewhere(as_json=True).post(SUBMIT, **NEW, params=params)

    assert reply.code == 0
    assert Job.objects.get().extra == params


@pytest.mark.parametrize("field", ["user", "appName", "jobName", "department", "callbackUrl"])
def test_a_name_of_a_megabyte_is_refused_by_name_and_not_repeated(
    field: str, caller: Caller
) -> None:
    fields = caller.envelope(NEW)
    if field in fields:
        fields[field] = "n" * MEGABYTE
    else:
        fields = caller.envelope(NEW | {field: "n" * MEGABYTE})

    with nothing_stored():
        reply = caller.send(SUBMIT, **fields)

    refused(reply, field)
    assert len(reply.msg) < 500


# -- bytes that are no text ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bad",
    [b"%ff", b"%c3%28", b"%ed%a0%80", b"%f4%90%80%80", b"%c0%af", b"\xff", b"%80"],
    ids=["ff", "cut", "surrogate", "beyond", "overlong", "raw", "alone"],
)
@pytest.mark.parametrize("field", ["user", "appName", "parameters"])
def test_bytes_that_are_not_utf_8_are_refused(field: str, bad: bytes, caller: Caller) -> None:
    fields = caller.envelope(NEW)
    del fields[field]
    body = urlencode(fields).encode() + b"&" + field.encode() + b"=" + bad

    with nothing_stored():
        refused(caller.send_raw(SUBMIT, body, FORM), f"{field} is not UTF-8")


@pytest.mark.parametrize("content_type", [JSON, MULTIPART])
def test_a_body_of_another_encoding_is_refused(content_type: str, caller: Caller) -> None:
    text = json.dumps(caller.envelope(NEW) | {"user": "é"}, ensure_ascii=False)

    with nothing_stored():
        for encoding in ("latin-1", "utf-16", "utf-32", "utf-8-sig"):
            refused(caller.send_raw(SUBMIT, text.encode(encoding), content_type))


@pytest.mark.parametrize(
    "body",
    [
        b"--xYzZY\r\n" * 10_000,
        b"--xYzZY\r\nContent-Disposition: form-data; name="
        + b"a" * 100_000
        + b"\r\n\r\n1\r\n--xYzZY--",
        b"--xYzZY\r\n" + b"A: b\r\n" * 20_000 + b"\r\n1\r\n--xYzZY--\r\n",
        b'--xYzZY\r\nContent-Disposition: form-data; name="user"\r\n'
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!\r\n--xYzZY--\r\n",
        b'--xYzZY\r\nContent-Disposition: form-data; name="user"\r\n\r\nann',
        b'--xYzZY\r\nContent-Disposition: form-data; name="user"\r\n\r\nann\r\n' * 200
        + b"--xYzZY--",
        b"\x00" * 10_000,
    ],
    ids=["openings", "long name", "headers", "base64", "cut", "many parts", "NUL"],
)
def test_a_broken_multipart_body_is_refused(body: bytes, caller: Caller) -> None:
    with nothing_stored():
        refused(caller.send_raw(SUBMIT, body, MULTIPART))


# -- headers and addresses -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"HTTP_X_FORWARDED_FOR": "10.0.0.1, " * 1_000},
        {"HTTP_X_HTTP_METHOD_OVERRIDE": "DELETE"},
        {"HTTP_AUTHORIZATION": "Basic " + "A" * 5_000},
        {"HTTP_COOKIE": "sessionid=x; " * 500},
        {"HTTP_ACCEPT": "*/*;q=" + "9" * 5_000},
        {"HTTP_ACCEPT_ENCODING": "gzip;q=1e999"},
        {"HTTP_IF_MODIFIED_SINCE": "x", "HTTP_RANGE": "bytes=0-" + "9" * 400},
        {"HTTP_EXPECT": "100-continue"},
    ],
    ids=lambda headers: "+".join(headers),
)
def test_strange_headers_change_nothing_of_the_answer(
    headers: dict[str, str], caller: Caller
) -> None:
    body = urlencode(caller.envelope({"taskId": 1})).encode()

    reply = caller.send_raw(STATUS, body, FORM, **headers)

    assert (reply.status, reply.msg) == (200, "no task 1")


@pytest.mark.parametrize("query", ["?user=x", "?a=%ff", "?" + "a=1&" * 5_000, "?parameters={}"])
def test_the_query_of_a_post_is_not_looked_at(query: str, caller: Caller) -> None:
    task = make_task(job__app=caller.app)
    body = urlencode(caller.envelope({"taskId": task.pk})).encode()

    assert caller.send_raw(STATUS + query, body, FORM).data["taskId"] == task.pk


@pytest.mark.parametrize(
    "query", ["", "user=%ff", "user=a&user=b", "a&" * 200, "parameters=%7B", "%00=%00"]
)
def test_a_strange_query_of_a_get_is_refused(query: str, caller: Caller) -> None:
    refused(answer_of(caller.client.get(f"{STATUS}?{query}")))


@pytest.mark.parametrize(
    "path",
    [
        "/api/../admin/",
        "/api//job/submit",
        "/api/job/submit%00",
        "/api/%2e%2e/x",
        "/api/%ff",
        "/api/" + "a/" * 3_000,
    ],
    ids=range(6),
)
def test_a_strange_address_is_no_endpoint(path: str, caller: Caller) -> None:
    assert caller.send_raw(path, b"", FORM).status == 404
