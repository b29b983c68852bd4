"""What a job of the type ``http`` sends to a real server, keeps of its answer, and never calls."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from tasks_app.executors import job_type_of
from tasks_app.executors.base import Ending, Outcome, StopReason
from tests.flow.executions import Kept, Run, eventually, make_execution
from tests.flow.web_receiver import Receiver, receiving


@pytest.fixture(autouse=True)
def private(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SENTINEL_HTTP_ALLOW_PRIVATE", "1")


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


def start(url: str, *, timeout: timedelta | None = None, **extra: Any) -> Run:
    return Run(
        make_execution(
            url, root=Path("/nonexistent"), job_type="http", extra=extra, timeout=timeout
        )
    )


def call(url: str, **extra: Any) -> tuple[Outcome, Kept]:
    running = start(url, **extra)
    return running.outcome(), running.kept


def test_the_body_of_the_answer_is_the_result(receiver: Receiver) -> None:
    receiver.body = "größer 🙂\n".encode() + bytes(range(256))

    outcome, kept = call(receiver.url("/a?day=1"))

    assert (outcome.ending, outcome.message) == (Ending.SUCCESS, "Answered 200 with 270 bytes.")
    assert kept.result_bytes == receiver.body
    assert f"[sentinel] GET {receiver.url('/a?day=1')}\n[sentinel] 200 OK\n" in (
        kept.log_bytes.decode()
    )


def test_method_headers_and_body_are_sent_as_told(receiver: Receiver) -> None:
    headers = {"X-Day": "2026 03", "Content-Type": "text/plain; charset=utf-8"}

    call(receiver.url("/in"), method="POST", headers=headers, body="größer")

    [got] = receiver.got
    assert (got.path, got.body.decode()) == ("/in", "größer")
    assert (got.headers["x-day"], got.headers["content-type"]) == tuple(headers.values())


def test_another_status_than_expected_fails_with_what_was_answered(receiver: Receiver) -> None:
    receiver.status, receiver.body = 503, "später".encode()

    outcome, kept = call(receiver.url())

    assert (outcome.ending, outcome.reason, outcome.is_final) == (Ending.FAILED, "BACKEND", False)
    text = "Answered 503, expected was a status from 200 to 299. später"
    assert outcome.message == text
    assert text in kept.log_bytes.decode()


@pytest.mark.parametrize(
    ("expected", "ending"),
    [
        (404, Ending.SUCCESS),
        ([200, 404], Ending.SUCCESS),
        (200, Ending.FAILED),
        ([200, 201], Ending.FAILED),
    ],
)
def test_a_status_can_be_asked_for(receiver: Receiver, expected: Any, ending: Ending) -> None:
    receiver.status = 404

    assert call(receiver.url(), expectedStatus=expected)[0].ending is ending


def test_a_redirect_is_told_and_not_followed(receiver: Receiver) -> None:
    receiver.status, receiver.headers = 302, {"Location": "http://169.254.169.254/"}

    outcome, _ = call(receiver.url())

    assert outcome.reason == "BACKEND"
    assert "It points to http://169.254.169.254/." in outcome.message
    assert len(receiver.got) == 1


@pytest.mark.parametrize("status", [300, 304])
def test_a_redirect_to_nowhere_is_a_status_like_any_other(receiver: Receiver, status: int) -> None:
    receiver.status, receiver.body = status, b""

    outcome, _ = call(receiver.url())

    assert (outcome.reason, outcome.message) == (
        "BACKEND",
        f"Answered {status}, expected was a status from 200 to 299.",
    )


def test_an_address_is_in_no_line_of_our_own_log(
    receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """X-20: the content of a job, which may hold a token, is logged nowhere."""
    with caplog.at_level(settings.LOGGING["root"]["level"]):
        call(receiver.url("/hook?token=SECRET"))

    assert len(receiver.got) == 1
    assert "SECRET" not in caplog.text


def test_a_large_answer_arrives_whole(receiver: Receiver) -> None:
    receiver.body = "é🙂".encode() * 800_000

    _, kept = call(receiver.url())

    assert hashlib.sha256(kept.result_bytes).digest() == hashlib.sha256(receiver.body).digest()


def test_an_answer_without_end_is_given_up(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tasks_app.executors.http.MOST", 1000)
    receiver.body = b"x" * 200_000

    outcome, _ = call(receiver.url())

    assert (outcome.reason, outcome.message) == (
        "BACKEND",
        "The answer is longer than 1000 bytes.",
    )


def test_a_kill_hangs_up(receiver: Receiver) -> None:
    receiver.may_answer.clear()
    running = start(receiver.url())
    assert eventually(lambda: bool(receiver.got))

    running.stop(StopReason.KILL)

    assert running.outcome(10).ending is Ending.KILLED
    assert not receiver.may_answer.is_set()


def test_an_answer_that_takes_too_long_times_out(receiver: Receiver) -> None:
    receiver.may_answer.clear()

    outcome = start(receiver.url(), timeout=timedelta(seconds=1)).outcome(15)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "TIMEOUT")


def test_nobody_there_is_told_and_may_be_tried_again() -> None:
    outcome, _ = call("http://127.0.0.1:9/")

    assert (outcome.reason, outcome.is_final) == ("BACKEND", False)
    assert "onnection refused" in outcome.message


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "10.1.2.3", "169.254.169.254", "[::1]", "[::ffff:127.0.0.1]"),
        *("2130706433", "0x7f.1", "0177.0.0.1", "127.1", "[fe80::1]", "0.0.0.0"),
    ],
)
def test_private_addresses_are_refused_for_good(
    receiver: Receiver, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SENTINEL_HTTP_ALLOW_PRIVATE")

    outcome, _ = call(receiver.url(host=host))

    assert (outcome.reason, outcome.is_final) == ("BAD_CONTENT", True)
    assert receiver.got == []


@pytest.mark.parametrize(
    "content", ["", "ftp://a/b", "/etc/passwd", "http://ann:w@a.example/", "x"]
)
def test_what_is_no_address_is_refused_at_submission(content: str) -> None:
    assert (job_type_of("http").text_problem(content) or "").startswith(
        "it is no address that a job may call: "
    )


def test_an_address_with_a_placeholder_is_judged_when_it_runs() -> None:
    assert job_type_of("http").text_problem("${base}/$YTD()") is None
    assert call("${base}/x")[0].reason == "BAD_CONTENT"


@pytest.mark.parametrize(
    ("extra", "told"),
    [
        ({"method": "BREW"}, "params.method: it must be one of GET, HEAD"),
        ({"headers": {"a b": "c"}}, "params.headers: it must be an object of plain texts"),
        ({"headers": {"a": "b\r\nc: d"}}, "params.headers: it must be"),
        ({"headers": {"Host": "b"}}, "params.headers: it must be"),
        ({"headers": ["a"]}, "params.headers: it must be"),
        ({"body": 1}, "params.body: it must be text"),
        ({"expectedStatus": []}, "params.expectedStatus: it must be a status such as 200"),
        ({"expectedStatus": [200, "201"]}, "params.expectedStatus: it must be"),
    ],
)
def test_wrong_parameters_are_refused_by_name(extra: dict[str, Any], told: str) -> None:
    problems = list(job_type_of("http").param_problems(extra, ()))

    assert [problem.startswith(told) for problem in problems] == [True]
