"""Every endpoint and another app's things: the answer is that of an unknown id (W-21, D-80)."""

from __future__ import annotations

from typing import Any

import pytest
from django.apps import apps
from django.db.models import Model

from jobs.models import Job, RequestRecord
from logs_app.models import StreamKind
from tasks_app.models import Task
from tasks_app.rules.states import TaskKind, TaskStatus
from tests.builders import KEY, make_job, make_output, make_task
from tests.caller import Answer, Caller
from tests.unit.test_wire_docs import endpoints

UNKNOWN = 10**12
# Ids that no time, status or count in an answer can be mistaken for.
THEIR_JOB, THEIR_TASK = 987_654_321_001, 987_654_321_002
NOON = 4_102_459_200_000
UPSTREAM = [{"operatorMode": 1, "preJobId": "JOB", "offsetStrategy": "cd"}]
DAILY = [{"operatorMode": 1, "expression": "0 3 * * *"}]
NEW = {"jobName": "new", "jobType": "dummy", "content": "{}", "scheduleExpressionList": DAILY}

#: Parameters of each endpoint, in which JOB and TASK stand for what is another app's.
ASKED: list[tuple[str, dict[str, Any]]] = [
    ("/api/job/submit", NEW | {"dependencyList": UPSTREAM}),
    ("/api/job/edit", {"jobId": "JOB", "content": "x"}),
    ("/api/job/edit", {"jobId": "JOB"}),
    ("/api/job/edit", {"jobId": "OWN", "dependencyList": UPSTREAM}),
    ("/api/job/dependency/set", {"jobId": "JOB", "dependencyList": UPSTREAM}),
    ("/api/job/dependency/set", {"jobId": "OWN", "dependencyList": UPSTREAM}),
    ("/api/job/scheduleExp/set", {"jobId": "JOB", "scheduleExpressionList": DAILY}),
    ("/api/job/status/set", {"jobIds": ["JOB"], "status": 4}),
    ("/api/job/preview", {"jobId": "JOB", "content": "x"}),
    ("/api/job/preview", NEW | {"dependencyList": UPSTREAM}),
    ("/api/job/query", {"jobId": "JOB"}),
    ("/api/job/query/taskIds", {"jobId": "JOB"}),
    ("/api/job/query/status", {"jobId": "JOB"}),
    ("/api/job/queryRelation", {"jobId": "JOB", "relationType": 1}),
    ("/api/job/queryRelation", {"jobId": "JOB", "relationType": 2}),
    ("/api/job/plan", {"jobId": "JOB", "from": NOON, "to": NOON}),
    ("/api/job/run", {"jobId": "JOB"}),
    ("/api/job/skip", {"jobId": "JOB", "scheduleTime": NOON}),
    ("/api/job/fill", {"jobId": "JOB", "from": 1, "to": NOON}),
    ("/api/job/grant/set", {"jobId": "JOB", "appNames": ["mine"]}),
    ("/api/job/grant/list", {"jobId": "JOB"}),
    ("/api/task/query/status", {"taskId": "TASK"}),
    ("/api/task/query", {"taskId": "TASK"}),
    ("/api/task/queryRelation", {"taskId": "TASK", "relationType": 1}),
    ("/api/task/queryRelation", {"taskId": "TASK", "relationType": 2}),
    ("/api/task/explain", {"taskId": "TASK"}),
    ("/api/task/explain", {"jobId": "JOB", "scheduleTime": NOON}),
    ("/api/task/timeline", {"taskId": "TASK"}),
    ("/api/task/kill", {"taskIds": ["TASK"]}),
    ("/api/task/retry", {"taskIds": ["TASK"]}),
    ("/api/task/remove", {"taskIds": ["TASK"]}),
    ("/api/task/rerun", {"jobIdList": ["JOB"], "startDate": 1, "endDate": NOON}),
    ("/api/task/rerun", {"jobIdList": ["JOB"], "startDate": 1, "endDate": NOON, "dryRun": True}),
    ("/api/task/modify/status", {"taskId": "TASK", "status": 4}),
    ("/api/task/query/result", {"taskId": "TASK"}),
    ("/api/task/query/log", {"taskId": "TASK"}),
    ("/api/log/readResult", {"taskId": "TASK"}),
    ("/api/log/readExecuteLog", {"taskId": "TASK"}),
]
#: What takes no id of anything, and is tested by itself.
WITHOUT_IDS = {"/api/job/list", "/api/system/status/get", "/api/system/status/set"}
ADMIN_ONLY = {"/api/task/modify/status"}
NAMES = [f"{path}#{place}" for place, (path, _) in enumerate(ASKED)]


def test_every_endpoint_is_asked() -> None:
    below = tuple(f"/api/{room}/" for room in ("job", "task", "log", "system"))

    asked = {path for path, _ in ASKED} | WITHOUT_IDS

    assert {path for path in endpoints() if path.startswith(below)} == asked


def theirs_of(other: Caller) -> tuple[Job, Task]:
    """Return a job of another app that has one of everything, and its task."""
    job = make_job(pk=THEIR_JOB, app=other.app, name="theirs")
    attempt = make_output(
        b"secret", kind=StreamKind.RESULT, is_closed=True, task__job=job, task__pk=THEIR_TASK
    )
    make_task(TaskStatus.FAILED, job=job)
    make_task(job=job, kind=TaskKind.MANUAL.value)
    return job, attempt.task


def put(parameters: Any, ids: dict[str, int]) -> Any:
    """Put ids where their names stand."""
    match parameters:
        case dict():
            return {name: put(value, ids) for name, value in parameters.items()}
        case list():
            return [put(value, ids) for value in parameters]
        case str():
            return ids.get(parameters, parameters)
        case _:
            return parameters


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return every row of ours; the record of the request itself is none."""
    models: list[type[Model]] = [
        model
        for label in ("jobs", "tasks_app", "logs_app")
        for model in apps.get_app_config(label).get_models()
        if model is not RequestRecord
    ]
    return {m.__name__: list(m._default_manager.order_by("pk").values()) for m in models}


def told(answer: Answer, ids: dict[str, int]) -> tuple[int, str, str]:
    """Return an answer with the ids that were asked for blotted out."""
    text = f"{answer.msg}\n{answer.data}"
    for name in ("JOB", "TASK"):
        text = text.replace(str(ids[name]), "ID")
    return answer.status, str(answer.code), text


@pytest.mark.parametrize(("path", "parameters"), ASKED, ids=NAMES)
def test_another_apps_thing_is_answered_like_an_unknown_one_and_left_alone(
    path: str, parameters: dict[str, Any], caller: Caller, other: Caller
) -> None:
    own = make_job(app=caller.app, name="own")
    job, task = theirs_of(other)
    foreign = {"JOB": job.pk, "TASK": task.pk, "OWN": own.pk}
    unknown = {"JOB": UNKNOWN, "TASK": UNKNOWN, "OWN": own.pk}
    before = rows()

    answers = [caller.post(path, **put(parameters, ids)) for ids in (foreign, unknown)]

    assert [answer.code for answer in answers] == [1, 1]
    assert told(answers[0], foreign) == told(answers[1], unknown)
    assert "theirs" not in answers[0].msg
    assert rows() == before


@pytest.mark.parametrize(("path", "parameters"), ASKED, ids=NAMES)
def test_a_wrong_key_changes_nothing_and_learns_nothing(
    path: str, parameters: dict[str, Any], caller: Caller
) -> None:
    job, task = theirs_of(caller)
    ids = {"JOB": job.pk, "TASK": task.pk, "OWN": job.pk}
    before = rows()
    del before["AuthFailure"]

    answer = caller.elsewhere(key=KEY[::-1]).post(path, **put(parameters, ids))

    after = rows()
    del after["AuthFailure"]
    assert (answer.code, answer.msg, answer.data) == (1, "appName or appToken is wrong.", {})
    assert after == before


@pytest.mark.parametrize("path", sorted(ADMIN_ONLY | {p for p in WITHOUT_IDS if "system" in p}))
def test_what_is_for_admins_is_refused_to_others_before_anything_is_looked_up(
    path: str, caller: Caller, other: Caller
) -> None:
    mine, theirs = make_task(job__app=caller.app), make_task(job__app=other.app)
    ids = [mine.pk, theirs.pk, UNKNOWN] if "task" in path else [0]
    asked: list[dict[str, Any]] = [{"taskId": each, "status": 4} if each else {} for each in ids]
    if path.endswith("/status/set"):
        asked = [{"status": 2}]
    before = rows()

    answers = [caller.post(path, **parameters) for parameters in asked]

    assert {(answer.code, answer.msg) for answer in answers} == {(1, "only ADMIN apps may do this")}
    assert rows() == before


def test_a_list_shows_no_foreign_job(caller: Caller, other: Caller) -> None:
    theirs_of(other)
    mine = make_job(app=caller.app)

    jobs = caller.post("/api/job/list").data["jobs"]

    assert [job["jobId"] for job in jobs] == [mine.pk]


def test_no_filter_reaches_a_foreign_job(caller: Caller, other: Caller) -> None:
    theirs_of(other)

    assert caller.post("/api/job/list", appName=other.app.name).data["jobs"] == []
    assert caller.post("/api/job/list", jobName="theirs").data["jobs"] == []
