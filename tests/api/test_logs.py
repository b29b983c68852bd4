"""Reading what attempts printed: /api/log/… and the whole outputs (W-20)."""

from __future__ import annotations

from typing import Any

import pytest

from logs_app.models import StreamKind
from tasks_app.models import Attempt
from tasks_app.rules.states import TaskStatus
from tests.builders import make_output, make_task
from tests.caller import Caller

READ_RESULT, READ_LOG = "/api/log/readResult", "/api/log/readExecuteLog"
RESULT, LOG = "/api/task/query/result", "/api/task/query/log"
PIECES = [(READ_RESULT, StreamKind.RESULT), (READ_LOG, StreamKind.LOG)]
WHOLES = [(RESULT, "result", StreamKind.RESULT), (LOG, "log", StreamKind.LOG)]
PATHS = [READ_RESULT, READ_LOG, RESULT, LOG]


def printed(
    caller: Caller, data: bytes, *, kind: StreamKind = StreamKind.RESULT, is_closed: bool = True
) -> Attempt:
    return make_output(data, kind=kind, is_closed=is_closed, task__job__app=caller.app)


@pytest.mark.parametrize(("path", "kind"), PIECES)
def test_a_stream_is_read_from_its_start_by_default(
    path: str, kind: StreamKind, caller: Caller
) -> None:
    attempt = printed(caller, b"hello\n", kind=kind)

    reply = caller.post(path, taskId=attempt.task_id)

    assert reply.data == {"log": "hello\n", "offset": 6, "isEnd": True}


@pytest.mark.parametrize(("path", "name", "kind"), WHOLES)
def test_a_whole_stream_is_the_last_attempts_by_default(
    path: str, name: str, kind: StreamKind, caller: Caller
) -> None:
    attempt = printed(caller, b"hello\n", kind=kind)

    reply = caller.post(path, taskId=attempt.task_id)

    assert reply.data == {"taskId": attempt.task_id, "attemptId": 1, name: "hello\n", "isEnd": True}


@pytest.mark.parametrize("path", [READ_RESULT, RESULT])
def test_the_two_streams_are_two(path: str, caller: Caller) -> None:
    attempt = printed(caller, b"oops\n", kind=StreamKind.LOG)

    answer = caller.post(path, taskId=attempt.task_id).data

    assert (answer.get("log", answer.get("result")), answer["isEnd"]) == ("", True)


def test_reading_on_gives_every_byte_once(caller: Caller) -> None:
    text = "a€é\U0001f600\r\n" * 50
    attempt = printed(caller, text.encode())

    read, offset, is_end = "", 0, False
    while not is_end:
        piece = caller.post(READ_RESULT, taskId=attempt.task_id, offset=offset, size=7).data
        read, offset, is_end = read + piece["log"], piece["offset"], piece["isEnd"]

    assert read == text
    assert offset == len(text.encode())


def test_an_open_stream_has_no_end_yet(caller: Caller) -> None:
    attempt = printed(caller, b"so far", is_closed=False)

    read = caller.post(READ_RESULT, taskId=attempt.task_id, offset=6).data

    assert read == {"log": "", "offset": 6, "isEnd": False}


def test_bytes_that_are_no_text_shift_nothing(caller: Caller) -> None:
    attempt = printed(caller, b"a\xff\xfeb\xe2\x82")

    read = caller.post(READ_RESULT, taskId=attempt.task_id).data

    assert read == {"log": "a\ufffd\ufffdb\ufffd", "offset": 6, "isEnd": True}


@pytest.mark.parametrize("status", [TaskStatus.WAITING, TaskStatus.READY], ids=str)
@pytest.mark.parametrize("path", [READ_RESULT, READ_LOG])
def test_what_has_not_started_has_printed_nothing_yet(
    path: str, status: TaskStatus, caller: Caller
) -> None:
    task = make_task(status, job__app=caller.app)

    reply = caller.post(path, taskId=task.pk, offset=5)

    assert reply.data == {"log": "", "offset": 5, "isEnd": False}


@pytest.mark.parametrize(("path", "name", "kind"), WHOLES)
def test_a_whole_stream_may_be_empty_so_far(
    path: str, name: str, kind: StreamKind, caller: Caller
) -> None:
    task = make_task(job__app=caller.app)

    reply = caller.post(path, taskId=task.pk)

    assert reply.data == {"taskId": task.pk, "attemptId": 1, name: "", "isEnd": False}


@pytest.mark.parametrize("path", PATHS)
def test_an_attempt_that_may_yet_come_reads_empty(path: str, caller: Caller) -> None:
    task = make_task(TaskStatus.RUNNING, job__app=caller.app)

    answer = caller.post(path, taskId=task.pk, attemptId=2).data

    assert answer["isEnd"] is False


@pytest.mark.parametrize("path", PATHS)
def test_an_attempt_that_never_comes_is_refused(path: str, caller: Caller) -> None:
    task = make_task(TaskStatus.FAILED, job__app=caller.app)

    reply = caller.post(path, taskId=task.pk, attemptId=2)

    assert reply.msg == f"no attempt 2: task {task.pk} ended FAILED after 1 attempts"


@pytest.mark.parametrize("path", [RESULT, LOG])
def test_a_whole_stream_is_not_the_first_attempts_after_a_retry(path: str, caller: Caller) -> None:
    task = make_task(TaskStatus.SUCCESS, job__app=caller.app, attempt_count=2)

    assert caller.post(path, taskId=task.pk).data["attemptId"] == 2


@pytest.mark.parametrize("path", PATHS)
def test_each_attempt_has_its_own_streams(path: str, caller: Caller) -> None:
    task = make_task(TaskStatus.SUCCESS, job__app=caller.app, attempt_count=2)

    replies = [caller.post(path, taskId=task.pk, attemptId=number) for number in (1, 2)]

    assert [reply.code for reply in replies] == [0, 0]


@pytest.mark.parametrize(
    ("field", "silly"),
    [
        *[("offset", silly) for silly in (-1, 1.5, "x", True, None, 2**63)],
        *[("size", silly) for silly in (0, -1, 1024 * 1024 + 1, "x", 1.5)],
        *[("attemptId", silly) for silly in (0, -1, "x", 2**31)],
    ],
)
@pytest.mark.parametrize("path", [READ_RESULT, READ_LOG])
def test_a_silly_place_is_refused_by_name(
    path: str, field: str, silly: Any, caller: Caller
) -> None:
    attempt = printed(caller, b"hello")

    reply = caller.post(path, taskId=attempt.task_id, **{field: silly})

    assert (reply.code, reply.msg.split()[0]) == (1, field)


def test_a_place_beyond_the_stream_is_refused_with_its_size(caller: Caller) -> None:
    attempt = printed(caller, b"hello")

    reply = caller.post(READ_RESULT, taskId=attempt.task_id, offset=6)

    assert reply.code == 1
    assert "5 bytes" in reply.msg


def test_more_than_a_mebibyte_is_read_in_pieces(caller: Caller) -> None:
    fits, large = printed(caller, b"x" * 2**20), printed(caller, b"x" * (2**20 + 1))

    assert len(caller.post(RESULT, taskId=fits.task_id).data["result"]) == 2**20
    assert "/api/log/readResult" in caller.post(RESULT, taskId=large.task_id).msg


@pytest.mark.parametrize("path", PATHS)
def test_another_apps_output_is_not_found_like_an_unknown_one(
    path: str, caller: Caller, other: Caller
) -> None:
    theirs = printed(other, b"secret")

    assert caller.post(path, taskId=theirs.task_id).msg == f"no task {theirs.task_id}"
    assert caller.post(path, taskId=10**9).msg == f"no task {10**9}"


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_key_reads_nothing(path: str, caller: Caller) -> None:
    attempt = printed(caller, b"secret")

    reply = caller.elsewhere(key="f" * 32).post(path, taskId=attempt.task_id)

    assert (reply.code, reply.data) == (1, {})
