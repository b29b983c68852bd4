"""Repeated requests are done once and answered alike (W-13)."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import connections

from jobs.models import AuditEntry, Job, RequestRecord
from tests.builders import make_app, make_task
from tests.caller import Answer, Caller, sign_strongly

SUBMIT, KILL = "/api/job/submit", "/api/task/kill"
JOB = {"jobName": "j", "jobType": "dummy", "content": "{}"}


def again(caller: Caller, fields: dict[str, Any], times: int = 2) -> list[Answer]:
    return [caller.send(SUBMIT, **fields) for _ in range(times)]


def test_the_same_request_id_is_answered_alike_and_done_once(caller: Caller) -> None:
    first, second = (caller.post(SUBMIT, **JOB, requestId="r-1") for _ in range(2))

    assert first.code == 0
    assert first.raw == second.raw
    assert Job.objects.count() == 1


def test_the_order_of_the_parameters_does_not_matter(caller: Caller) -> None:
    first = caller.post(SUBMIT, **JOB, requestId="r-1")

    second = caller.post(SUBMIT, requestId="r-1", **dict(reversed(JOB.items())))

    assert first.raw == second.raw


def test_the_answer_comes_in_the_form_that_is_asked_for(caller: Caller) -> None:
    first = caller.post(SUBMIT, **JOB, requestId="r-1")

    second = caller.elsewhere(as_json=True).post(SUBMIT, **JOB, requestId="r-1")

    assert isinstance(first.raw["data"], str)
    assert second.raw["data"] == first.data


def test_a_request_id_with_other_parameters_is_refused(caller: Caller) -> None:
    caller.post(SUBMIT, **JOB, requestId="r-1")

    reply = caller.post(SUBMIT, **(JOB | {"jobName": "k"}), requestId="r-1")

    assert (reply.code, "requestId" in reply.msg) == (1, True)
    assert Job.objects.count() == 1


def test_a_request_id_is_an_apps_and_an_endpoints_own(caller: Caller, other: Caller) -> None:
    task = make_task(job__app=caller.app)

    replies = [
        caller.post(SUBMIT, **JOB, requestId="r-1"),
        other.post(SUBMIT, **JOB, requestId="r-1"),
        caller.post(KILL, taskIds=[task.pk], requestId="r-1"),
    ]

    assert [reply.code for reply in replies] == [0, 0, 0]


@pytest.mark.parametrize("silly", ["", " ", "x" * 65, 1, [], True])
def test_a_silly_request_id_is_refused_by_name(silly: Any, caller: Caller) -> None:
    reply = caller.post(SUBMIT, **JOB, requestId=silly)

    assert (reply.code, reply.msg[:17]) == (1, "requestId must be")
    assert not Job.objects.exists()


def test_a_refused_request_may_be_mended_under_its_id(caller: Caller) -> None:
    refused = caller.post(SUBMIT, **JOB, workerGroupId=99, requestId="r-1")

    mended = caller.post(SUBMIT, **JOB, requestId="r-1")

    assert (refused.code, mended.code) == (1, 0)


def test_a_repetition_answers_what_was_true_then(caller: Caller) -> None:
    """A partly refused kill is an answer too, not a refusal to be tried again."""
    task = make_task(job__app=caller.app)

    replies = [caller.post(KILL, taskIds=[task.pk, 10**9], requestId="r-1") for _ in range(2)]

    assert replies[0].code == 1
    assert replies[0].raw == replies[1].raw
    assert AuditEntry.objects.count() == 1


def test_a_published_token_repeated_is_a_replay(caller: Caller) -> None:
    first, second = again(caller, caller.envelope(JOB))

    assert first.code == 0
    assert first.raw == second.raw
    assert Job.objects.count() == 1


def test_a_published_token_with_other_parameters_is_no_replay(caller: Caller) -> None:
    fields = caller.envelope(JOB)
    caller.send(SUBMIT, **fields)

    again(
        caller, fields | caller.envelope(JOB | {"jobName": "k"}) | {"appToken": fields["appToken"]}
    )

    assert Job.objects.count() == 2


def test_two_honest_calls_are_two(caller: Caller) -> None:
    caller.post(SUBMIT, **JOB)

    assert "jobName" in caller.post(SUBMIT, **JOB).msg


def test_a_strong_token_is_done_once_and_leaves_no_answer(caller: Caller) -> None:
    fields = caller.envelope(JOB)
    fields["appToken"] = sign_strongly(caller, SUBMIT, fields["parameters"], nonce="nonce-01")

    first, second = again(caller, fields)

    assert (first.code, second.code, Job.objects.count()) == (0, 1, 1)
    assert RequestRecord.objects.filter(answer__isnull=False).count() == 0


def test_reads_leave_no_record(caller: Caller) -> None:
    caller.post("/api/task/query/status", taskId=1, requestId="r-1")

    assert not RequestRecord.objects.exists()


@contextmanager
def own_connections() -> Iterator[None]:
    """Close what a thread has opened; nobody else can."""
    try:
        yield
    finally:
        connections.close_all()


@pytest.mark.usefixtures("committed_db")
def test_a_hundred_at_once_are_one_job_and_one_answer() -> None:
    caller = Caller(make_app(name="busy"))

    def submit(_: int) -> Answer:
        with own_connections():
            return caller.post(SUBMIT, **JOB, requestId="r-1")

    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(submit, range(100)))

    assert {reply.code for reply in replies} == {0}
    assert len({str(reply.raw) for reply in replies}) == 1
    assert Job.objects.count() == 1
