"""/api/task/…: how a task stands, everything about it, kill and retry."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.models import AuditEntry
from logs_app.models import StreamKind
from sentinel_project.wire.fields import to_millis
from tasks_app.models import Task
from tasks_app.rules.states import TaskStatus
from tests.builders import make_output, make_task
from tests.caller import Caller

STATUS, TASK = "/api/task/query/status", "/api/task/query"
KILL, RETRY = "/api/task/kill", "/api/task/retry"
READS, VERBS = [STATUS, TASK], [KILL, RETRY]


def statuses() -> dict[int, int]:
    return dict(Task.objects.values_list("pk", "status"))


@pytest.mark.parametrize("status", list(TaskStatus))
def test_a_task_says_how_it_stands(status: TaskStatus, caller: Caller) -> None:
    task = make_task(status, job__app=caller.app, reason="WHY")

    assert caller.post(STATUS, taskId=str(task.pk)).data == {
        "taskId": task.pk,
        "status": status.value,
        "attemptId": task.attempt_count,
        "reason": "WHY",
    }


def test_a_task_tells_everything_with_its_attempts(caller: Caller, now: datetime) -> None:
    task = make_task(TaskStatus.FAILED, job__app=caller.app, attempt_count=2, due_at=now)

    told = caller.post(TASK, taskId=task.pk).data

    assert (told["jobId"], told["status"], told["attemptId"]) == (task.job_id, 5, 2)
    assert [attempt["attemptId"] for attempt in told["attempts"]] == [1, 2]
    assert told["attempts"][0] == {
        "attemptId": 1,
        "status": "FAILED",
        "worker": "w1",
        "startTime": to_millis(now),
        "endTime": to_millis(now + timedelta(seconds=5)),
        "exitCode": None,
        "reason": None,
        "logSize": 0,
        "resultSize": 0,
    }


def test_a_task_tells_how_much_its_attempts_have_printed(caller: Caller) -> None:
    attempt = make_output(
        "é".encode(), kind=StreamKind.LOG, is_closed=False, task__job__app=caller.app
    )

    (told,) = caller.post(TASK, taskId=attempt.task_id).data["attempts"]

    assert (told["logSize"], told["resultSize"]) == (2, 0)


def test_what_an_attempt_really_ran_is_told_when_it_is_asked_for(caller: Caller) -> None:
    """D-59, D-86."""
    task = make_task(TaskStatus.FAILED, job__app=caller.app, attempt_count=2)
    task.attempts.update(content="echo $YTD()", extra={"a": "$YTD()"})
    ran = {"content": "echo 20260304", "extra": {"a": "20260304"}}
    task.attempts.filter(number=2).update(rendered=ran)

    def told(**asked: int) -> list[tuple[str | None, dict[str, str] | None]]:
        attempts = caller.post(TASK, taskId=task.pk, **asked).data["attempts"]
        return [(each.get("content"), each.get("params")) for each in attempts]

    assert told(attemptId=2) == [(None, None), ("echo 20260304", {"a": "20260304"})]
    assert told(attemptId=1) == [("echo $YTD()", {"a": "$YTD()"}), (None, None)]
    assert told() == [(None, None)] * 2


def test_an_attempt_that_is_not_there_has_run_nothing(caller: Caller, other: Caller) -> None:
    task = make_task(job__app=caller.app)

    assert caller.post(TASK, taskId=task.pk, attemptId=1).msg == f"no attempt 1 of task {task.pk}"
    assert "attemptId" in caller.post(TASK, taskId=task.pk, attemptId=0).msg
    assert other.post(TASK, taskId=task.pk, attemptId=1).msg == f"no task {task.pk}"


def test_kill_answers_for_each_task_and_does_what_it_can(caller: Caller, other: Caller) -> None:
    waiting = make_task(TaskStatus.WAITING, job__app=caller.app)
    done = make_task(TaskStatus.SUCCESS, job__app=caller.app)
    theirs = make_task(job__app=other.app)
    asked = [waiting.pk, done.pk, theirs.pk, 10**9]

    reply = caller.post(KILL, taskIds=asked)

    results = reply.data["results"]
    assert [(result["taskId"], result["code"]) for result in results] == list(
        zip(asked, [0, 1, 1, 1], strict=True)
    )
    assert [result["status"] for result in results] == [6, 4, None, None]
    assert [result["msg"] for result in results[2:]] == [
        f"no task {theirs.pk}",
        "no task 1000000000",
    ]
    assert (reply.code, reply.msg.startswith("3 of 4 refused: ")) == (1, True)
    assert statuses() == {waiting.pk: 6, done.pk: 4, theirs.pk: 2}


def test_killing_again_is_accepted(caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    first, second = (caller.post(KILL, taskIds=[task.pk]) for _ in range(2))

    assert (first.code, second.code) == (0, 0)
    assert second.data["results"] == [{"taskId": task.pk, "code": 0, "msg": "success", "status": 6}]


@pytest.mark.parametrize(
    "status", [TaskStatus.SUCCESS, TaskStatus.FAILED, TaskStatus.REMOVED], ids=str
)
def test_what_has_ended_is_not_killed_and_says_how_it_ended(
    status: TaskStatus, caller: Caller
) -> None:
    task = make_task(status, job__app=caller.app)

    reply = caller.post(KILL, taskIds=[task.pk])

    assert (reply.code, reply.data["results"][0]["status"]) == (1, status.value)
    assert status.name in reply.msg


def test_a_task_named_twice_is_answered_once(caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    assert len(caller.post(KILL, taskIds=[task.pk, str(task.pk)]).data["results"]) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (TaskStatus.WAITING, 1),
        (TaskStatus.READY, 1),
        (TaskStatus.RUNNING, 1),
        (TaskStatus.SUCCESS, 1),
        (TaskStatus.FAILED, 0),
        (TaskStatus.KILLED, 0),
        (TaskStatus.REMOVED, 1),
    ],
)
def test_only_what_failed_or_was_killed_is_retried(
    status: TaskStatus, code: int, caller: Caller
) -> None:
    task = make_task(status, job__app=caller.app)

    reply = caller.post(RETRY, taskIds=[task.pk])

    assert reply.code == code
    assert statuses()[task.pk] == (status.value if code else TaskStatus.READY)


def test_a_single_task_is_retried_by_its_id(caller: Caller) -> None:
    task = make_task(TaskStatus.FAILED, job__app=caller.app)

    reply = caller.post(RETRY, taskId=task.pk)

    assert [result["taskId"] for result in reply.data["results"]] == [task.pk]
    assert statuses()[task.pk] == TaskStatus.READY


def test_retry_takes_a_task_or_a_list_and_not_both(caller: Caller) -> None:
    task = make_task(TaskStatus.FAILED, job__app=caller.app)

    reply = caller.post(RETRY, taskId=task.pk, taskIds=[task.pk])

    assert (reply.code, reply.msg[:23]) == (1, "taskIds is needed alone")
    assert statuses()[task.pk] == TaskStatus.FAILED


@pytest.mark.parametrize("path", VERBS)
def test_who_did_it_and_from_where_is_audited(path: str, caller: Caller) -> None:
    task = make_task(TaskStatus.KILLED, job__app=caller.app)

    caller.post(path, taskIds=[task.pk])

    entry = AuditEntry.objects.get()
    assert (entry.app, entry.user, entry.address) == (caller.app, "ann", "10.0.0.1")
    assert (entry.object_type, entry.object_id) == ("task", task.pk)


@pytest.mark.parametrize("path", VERBS)
@pytest.mark.parametrize(
    "silly", [[], None, 1, "1", {}, [0], [1.5], [True], ["x"], [None], [[1]], [1] * 1001]
)
def test_silly_task_ids_are_refused_by_name(path: str, silly: Any, caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    reply = caller.post(path, taskIds=silly)

    assert (reply.code, reply.msg[:7]) == (1, "taskIds")
    assert statuses() == {task.pk: 2}


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("silly", [0, -1, "x", 1.5, True, None, [1], 2**63])
def test_a_silly_task_id_is_refused_by_name(path: str, silly: Any, caller: Caller) -> None:
    assert caller.post(path, taskId=silly).msg.startswith("taskId must be an integer from 1 to ")


@pytest.mark.parametrize("path", READS + VERBS)
def test_missing_ids_are_named(path: str, caller: Caller) -> None:
    assert caller.post(path).msg.startswith("taskId")


@pytest.mark.parametrize("path", READS)
def test_another_apps_task_is_not_found_like_an_unknown_one(
    path: str, caller: Caller, other: Caller
) -> None:
    theirs = make_task(job__app=other.app)

    assert caller.post(path, taskId=theirs.pk).msg == f"no task {theirs.pk}"
    assert caller.post(path, taskId=10**9).msg == f"no task {10**9}"


@pytest.mark.parametrize("path", READS)
def test_an_admin_sees_every_apps_task(path: str, admin_caller: Caller, other: Caller) -> None:
    theirs = make_task(job__app=other.app)

    assert admin_caller.post(path, taskId=theirs.pk).data["taskId"] == theirs.pk


@pytest.mark.parametrize("path", VERBS)
def test_a_wrong_key_changes_nothing(path: str, caller: Caller) -> None:
    tasks = [make_task(status, job__app=caller.app) for status in TaskStatus]
    before = statuses()

    reply = caller.elsewhere(key="f" * 32).post(path, taskIds=[task.pk for task in tasks])

    assert (reply.code, reply.data) == (1, {})
    assert statuses() == before
    assert not AuditEntry.objects.exists()
