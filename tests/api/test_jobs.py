"""/api/job/query…: a job, its tasks, and the one-off's status."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from sentinel_project.wire.fields import to_millis
from tasks_app.rules.states import TaskKind, TaskStatus
from tests.builders import KEY, make_job, make_task
from tests.caller import Caller

JOB, TASKS, STATUS = "/api/job/query", "/api/job/query/taskIds", "/api/job/query/status"
PATHS = [JOB, TASKS, STATUS]


def test_tasks_are_listed_newest_first(caller: Caller, now: datetime) -> None:
    job = make_job(app=caller.app)
    made = [make_task(job=job, due_at=now + timedelta(days=day)) for day in (1, 3, 2)]
    make_task(job=make_job(app=caller.app))

    reply = caller.post(TASKS, jobId=job.pk)

    assert reply.data["jobId"] == job.pk
    assert reply.data["taskIds"] == [made[1].pk, made[2].pk, made[0].pk]
    assert [task["taskId"] for task in reply.data["tasks"]] == reply.data["taskIds"]
    assert reply.data["cursor"] is None


def test_a_listed_task_says_when_it_was_what(caller: Caller, now: datetime) -> None:
    task = make_task(TaskStatus.FAILED, job__app=caller.app, due_at=now, reason="EXIT_CODE")

    (listed,) = caller.post(TASKS, jobId=task.job_id).data["tasks"]

    assert listed == {
        "taskId": task.pk,
        "attemptId": 1,
        "status": 5,
        "kind": "SCHEDULE",
        "scheduleTime": to_millis(now),
        "dataTime": to_millis(now),
        "startTime": to_millis(now),
        "endTime": to_millis(now + timedelta(seconds=5)),
        "reason": "EXIT_CODE",
    }


def test_pages_show_every_task_once(caller: Caller, now: datetime) -> None:
    """Also where many tasks are due at the same instant."""
    job = make_job(app=caller.app)
    kinds = [TaskKind.MANUAL.value] * 7
    made = {make_task(job=job, due_at=now, kind=kind).pk for kind in kinds}

    seen: list[int] = []
    cursor: Any = None
    while True:
        page = caller.post(TASKS, jobId=job.pk, limit=3, cursor=cursor).data
        seen += page["taskIds"]
        cursor = page["cursor"]
        if cursor is None:
            break

    assert len(seen) == 7
    assert set(seen) == made


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"status": 4}, [1]),
        ({"status": "2"}, [2, 0]),
        ({"kind": "MANUAL"}, [2]),
        ({"from": 1}, [2, 1]),
        ({"to": 1}, [1, 0]),
        ({"from": 1, "to": 1}, [1]),
        ({"limit": 1}, [2]),
        ({"from": 0, "to": 0}, [2, 1, 0]),
    ],
)
def test_filters_narrow_the_list(
    filters: dict[str, Any], expected: list[int], caller: Caller, now: datetime
) -> None:
    job = make_job(app=caller.app)
    due = [now + timedelta(days=day) for day in range(3)]
    made = [
        make_task(job=job, due_at=due[0]),
        make_task(TaskStatus.SUCCESS, job=job, due_at=due[1]),
        make_task(job=job, due_at=due[2], kind=TaskKind.MANUAL.value),
    ]
    bounds = {name: to_millis(due[filters[name]]) for name in ("from", "to") if filters.get(name)}

    reply = caller.post(TASKS, jobId=job.pk, **(filters | bounds))

    assert reply.data["taskIds"] == [made[index].pk for index in expected]


@pytest.mark.parametrize(
    ("field", "silly"),
    [
        *[("status", silly) for silly in (0, 7, "x", True)],
        ("kind", "schedule"),
        *[("limit", silly) for silly in (0, 1001, -1)],
        *[("from", silly) for silly in (-1, "yesterday")],
        *[("cursor", silly) for silly in ("x", "1", "-", "9" * 18 + "-1", 5, "1-1 ", "x" * 99)],
    ],
)
def test_a_silly_filter_is_refused_by_name(field: str, silly: Any, caller: Caller) -> None:
    job = make_job(app=caller.app)

    reply = caller.post(TASKS, jobId=job.pk, **{field: silly})

    assert reply.code == 1
    assert reply.msg.startswith(f"{field} must be ")


def test_the_status_of_a_one_off_is_its_only_tasks(caller: Caller) -> None:
    job = make_job(app=caller.app, is_one_off=True)
    task = make_task(TaskStatus.SUCCESS, job=job, kind=TaskKind.TEMP.value)

    assert caller.post(STATUS, jobId=job.pk).data == {
        "jobId": job.pk,
        "taskId": task.pk,
        "attemptId": 1,
        "status": 4,
        "reason": None,
    }


def test_the_status_of_any_other_job_is_refused(caller: Caller) -> None:
    job = make_job(app=caller.app)
    make_task(job=job)

    reply = caller.post(STATUS, jobId=job.pk)

    assert reply.msg == f"job {job.pk} is not a one-off; ask /api/job/query/taskIds for its tasks"


def test_the_status_of_a_one_off_without_a_task_is_refused(caller: Caller) -> None:
    job = make_job(app=caller.app, is_one_off=True)

    assert caller.post(STATUS, jobId=job.pk).msg == f"job {job.pk} has no task yet"


def test_a_job_whose_window_is_over_reads_as_expired(caller: Caller, now: datetime) -> None:
    job = make_job(app=caller.app, active_until=now - timedelta(days=1))

    assert caller.post(JOB, jobId=job.pk).data["status"] == 3


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("silly", [0, -1, "x", 1.5, True, None, [1], 2**63, "9" * 5000])
def test_a_silly_job_id_is_refused_by_name(path: str, silly: Any, caller: Caller) -> None:
    reply = caller.post(path, jobId=silly)

    assert (reply.code, reply.msg.split()[0]) == (1, "jobId")


@pytest.mark.parametrize("path", PATHS)
def test_a_missing_job_id_is_named(path: str, caller: Caller) -> None:
    assert caller.post(path).msg.startswith("jobId is missing")


@pytest.mark.parametrize("path", PATHS)
def test_another_apps_job_is_not_found_like_an_unknown_one(
    path: str, caller: Caller, other: Caller
) -> None:
    theirs = make_job(app=other.app, is_one_off=True)
    make_task(job=theirs, kind=TaskKind.TEMP.value)

    assert caller.post(path, jobId=theirs.pk).msg == f"no job {theirs.pk}"
    assert caller.post(path, jobId=2**63 - 1).msg == f"no job {2**63 - 1}"


@pytest.mark.parametrize("path", PATHS)
def test_an_admin_sees_every_apps_job(path: str, admin_caller: Caller, other: Caller) -> None:
    theirs = make_job(app=other.app, is_one_off=True)
    make_task(job=theirs, kind=TaskKind.TEMP.value)

    assert admin_caller.post(path, jobId=theirs.pk).data["jobId"] == theirs.pk


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_key_reads_nothing(path: str, caller: Caller) -> None:
    job = make_job(app=caller.app)

    reply = caller.elsewhere(key=KEY[::-1]).post(path, jobId=job.pk)

    assert (reply.code, reply.data) == (1, {})
