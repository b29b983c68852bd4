"""A call that works for every endpoint, and the rows that it is about.

A new endpoint gets a line here. Then what holds for every endpoint is tested of it too: another
app's things read as unknown, one change leaves one audit row, a repetition is done once, strange
values are refused by name.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.apps import apps
from django.db.models import Model

from jobs.models import (
    App,
    BizGroup,
    Department,
    RequestRecord,
    ScheduleExpression,
    Script,
    WorkerGroup,
)
from logs_app.models import StreamKind
from tasks_app import workers
from tasks_app.models import Alarm, Delivery, Gap
from tasks_app.rules.states import TaskKind, TaskStatus
from tasks_app.workers import Registration
from tests.api.jobs import added, millis, slot_in
from tests.builders import NOW, make_app, make_job, make_output, make_task

#: Ids that no time, status or count in an answer can be mistaken for.
_BASE = 987_654_000_000
#: What belongs to an app, by the word that stands for its id in a sample.
OWNED = (
    "JOB",
    "UPSTREAM",
    "BOUND",
    "ONE_OFF",
    "EXPRESSION",
    "READY",
    "FAILED",
    "DONE",
    "SCRIPT",
    "ALARM",
    "DELIVERY",
)
DAY = timedelta(days=1)
NEW = {"jobName": "new", "jobType": "dummy", "content": "{}"}
DAILY = [added("0 3 * * *")]
WAITS = [{"operatorMode": 1, "preJobId": "UPSTREAM", "offsetStrategy": "cd"}]
RANGE = {"startDate": millis(NOW - 3 * DAY), "endDate": millis(NOW)}

#: Parameters that each endpoint accepts; capital words stand for values of a world.
SAMPLES: dict[str, list[dict[str, Any]]] = {
    "/api/job/submit": [NEW | {"scheduleExpressionList": DAILY, "dependencyList": WAITS}],
    "/api/job/edit": [
        {"jobId": "JOB", "content": "x"},
        {"jobId": "JOB", "dependencyList": WAITS},
    ],
    "/api/job/dependency/set": [{"jobId": "JOB", "dependencyList": WAITS}],
    "/api/job/scheduleExp/set": [
        {"jobId": "JOB", "scheduleExpressionList": [added("0 4 * * *")]},
        {
            "jobId": "JOB",
            "scheduleExpressionList": [
                {"operatorMode": 2, "expressionId": "EXPRESSION", "expression": "0 5 * * *"}
            ],
        },
    ],
    "/api/job/status/set": [{"jobIds": ["JOB"], "status": 5}],
    "/api/job/preview": [
        NEW | {"scheduleExpressionList": DAILY, "dependencyList": WAITS},
        {"jobId": "BOUND", "content": "x"},
        {"jobId": "JOB", "dependencyList": WAITS},
    ],
    "/api/job/query": [{"jobId": "BOUND"}],
    "/api/job/query/taskIds": [{"jobId": "JOB"}],
    "/api/job/query/status": [{"jobId": "ONE_OFF"}],
    "/api/job/list": [{}],
    "/api/job/queryRelation": [
        {"jobId": "BOUND", "relationType": 1},
        {"jobId": "UPSTREAM", "relationType": 2},
    ],
    "/api/job/plan": [
        {"from": "GAP", "to": "NEAR"},
        {"jobId": "JOB", "from": "NEXT", "to": "NEXT"},
    ],
    "/api/job/run": [{"jobId": "JOB"}],
    "/api/job/skip": [{"jobId": "JOB", "scheduleTime": "NEXT"}],
    "/api/job/fill": [{"jobId": "JOB", "from": "GAP", "to": "GAP"}],
    "/api/job/grant/set": [{"jobId": "JOB", "appNames": ["billing"]}],
    "/api/job/grant/list": [{"jobId": "JOB"}],
    "/api/task/query/status": [{"taskId": "READY"}],
    "/api/task/query": [{"taskId": "DONE"}, {"taskId": "DONE", "attemptId": 1}],
    "/api/task/queryRelation": [
        {"taskId": "DONE", "relationType": 1},
        {"taskId": "DONE", "relationType": 2},
    ],
    "/api/task/explain": [{"taskId": "READY"}, {"jobId": "BOUND", "scheduleTime": "NEXT"}],
    "/api/job/explain": [{"jobId": "BOUND", "scheduleTime": "NEXT"}],
    "/api/task/timeline": [{"taskId": "DONE"}],
    "/api/task/kill": [{"taskIds": ["READY"]}],
    "/api/task/retry": [{"taskIds": ["FAILED"]}, {"taskId": "FAILED"}],
    "/api/task/remove": [{"taskIds": ["READY"]}],
    "/api/task/rerun": [
        {"jobIdList": ["JOB"], **RANGE},
        {"jobIdList": ["JOB"], **RANGE, "dryRun": True},
    ],
    "/api/task/modify/status": [{"taskId": "READY", "status": 4}],
    "/api/task/query/result": [{"taskId": "DONE"}],
    "/api/task/query/log": [{"taskId": "DONE"}],
    "/api/log/readResult": [{"taskId": "DONE"}],
    "/api/log/readExecuteLog": [{"taskId": "DONE"}],
    "/api/alarm/add": [
        {"jobId": "JOB", "events": ["KILLED"], "webhooks": ["https://hooks.example.com/x"]}
    ],
    "/api/alarm/edit": [{"alarmId": "ALARM", "quietTime": 60}],
    "/api/alarm/delete": [{"alarmId": "ALARM"}],
    "/api/alarm/query": [{"jobId": "JOB"}, {}],
    "/api/alarm/delivery/list": [
        {"jobId": "JOB"},
        {"taskId": "FAILED", "alarmId": "ALARM"},
    ],
    "/api/alarm/delivery/redeliver": [{"deliveryId": "DELIVERY"}],
    "/api/system/status/get": [{}],
    "/api/system/status/set": [{"status": 2}],
    "/api/script/add": [{"scriptName": "fresh", "content": "echo $YTD()"}],
    "/api/script/edit": [
        {"scriptId": "SCRIPT", "content": "echo 2"},
        {"scriptId": "SCRIPT", "scriptName": "other"},
    ],
    "/api/script/query": [{"scriptId": "SCRIPT"}, {"scriptId": "SCRIPT", "version": 1}],
    "/api/script/list": [{}],
    "/api/artifact/add": [
        {"artifactName": "a.jar", "data": "UEsDBA=="},
        {"artifactName": "a.jar", "data": "UEs=", "size": 4, "sha256": "a" * 64},
    ],
    "/api/artifact/list": [{}],
    "/api/app/add": [{"appName": "fresh"}],
    "/api/app/edit": [{"appName": "spare", "owner": "bi", "status": 2}],
    "/api/app/delete": [{"appName": "spare"}],
    "/api/app/list": [{}],
    "/api/app/rotateKey": [{"appName": "spare"}, {"appName": "two keys", "dropOld": True}],
    "/api/workerGroup/add": [{"workerGroupName": "fresh"}],
    "/api/workerGroup/edit": [{"workerGroupId": "GROUP", "workerGroupName": "fresh"}],
    "/api/workerGroup/status/set": [{"workerGroupId": "GROUP", "status": 2}],
    "/api/workerGroup/list": [{}],
    "/api/worker/list": [{}],
    "/api/bizGroup/add": [{"bizGroupName": "fresh"}],
    "/api/bizGroup/edit": [{"bizGroupId": "BIZ_GROUP", "bizGroupName": "fresh"}],
    "/api/bizGroup/delete": [{"bizGroupId": "BIZ_GROUP"}],
    "/api/bizGroup/list": [{}],
    "/api/department/add": [{"departmentName": "fresh"}],
    "/api/department/edit": [{"departmentId": "DEPARTMENT", "departmentName": "fresh"}],
    "/api/department/delete": [{"departmentId": "DEPARTMENT"}],
    "/api/department/list": [{}],
}
#: What a mutating endpoint may also be asked, and then changes nothing.
ONLY_LOOKS = {"dryRun"}
CASES = [(path, sample) for path, samples in SAMPLES.items() for sample in samples]
NAMES = [f"{path}#{place}" for path, samples in SAMPLES.items() for place in range(len(samples))]


def make_world(app: App, *, number: int = 0) -> dict[str, int]:
    """Make one of everything for ``app``; return what the words of a sample stand for."""
    ids = {word: _BASE + 1000 * number + place for place, word in enumerate(OWNED)}
    job = _daily(app, ids["JOB"], f"job {number}", "0 3 * * *", ids["EXPRESSION"])
    _daily(app, ids["UPSTREAM"], f"upstream {number}", "0 1 * * *", ids["EXPRESSION"] + 100)
    bound = _daily(app, ids["BOUND"], f"bound {number}", "0 2 * * *", ids["EXPRESSION"] + 200)
    bound.dependencies.create(upstream_id=ids["UPSTREAM"], offset="cd")
    one_off = make_job(pk=ids["ONE_OFF"], app=app, name=f"one-off {number}", is_one_off=True)
    make_task(TaskStatus.SUCCESS, job=one_off, kind=TaskKind.TEMP.value)
    make_task(pk=ids["READY"], job=job)
    make_task(TaskStatus.FAILED, pk=ids["FAILED"], job=job)
    done = make_output(
        b"secret", kind=StreamKind.RESULT, is_closed=True, task__job=job, task__pk=ids["DONE"]
    )
    workers.register(
        Registration(
            name=done.worker, host="h", pid=1, pool="solo", slots=1, group_ids=[1], containment=""
        ),
        now=NOW,
    )
    script = Script.objects.create(pk=ids["SCRIPT"], app=app, name="script", created_at=NOW)
    script.versions.create(number=1, text="echo 1", created_at=NOW)
    alarm = Alarm.objects.create(
        pk=ids["ALARM"], job=job, events=["FAILED"], mails=["a@example.com"], created_at=NOW
    )
    Delivery.objects.create(
        pk=ids["DELIVERY"],
        job=job,
        task_id=ids["FAILED"],
        alarm=alarm,
        event="FAILED",
        channel="MAIL",
        target="a@example.com",
        payload={},
        once_key=str(number),
        state="GIVEN_UP",
        created_at=NOW,
        ended_at=NOW,
    )
    gap = slot_in(-9)
    Gap.objects.create(job=job, from_at=gap, to_at=gap, count=1, reason="CAPPED", created_at=NOW)
    return ids | {"GAP": millis(gap), "NEAR": millis(gap + DAY), "NEXT": millis(slot_in(2))}


def _daily(app: App, pk: int, name: str, cron: str, expression_pk: int) -> Any:
    job = make_job(pk=pk, app=app, name=name)
    ScheduleExpression.objects.create(
        pk=expression_pk, job=job, text=cron, anchor_at=NOW, floor_at=NOW, next_due_at=slot_in(1)
    )
    return job


def make_places() -> dict[str, int]:
    """Make what only ADMIN apps touch."""
    make_app(name="spare")
    make_app(name="two keys", sealed_old_key="sealed")
    return {
        "GROUP": WorkerGroup.objects.create(name="spare").pk,
        "DEPARTMENT": Department.objects.create(name="spare").pk,
        "BIZ_GROUP": BizGroup.objects.create(name="spare").pk,
    }


def put(parameters: Any, values: dict[str, int]) -> Any:
    """Put values where the words of a sample stand."""
    match parameters:
        case dict():
            return {name: put(value, values) for name, value in parameters.items()}
        case list():
            return [put(value, values) for value in parameters]
        case str():
            return values.get(parameters, parameters)
        case _:
            return parameters


def words_in(parameters: Any) -> Iterator[str]:
    """Yield the words of a sample that stand for what belongs to an app."""
    match parameters:
        case dict():
            for value in parameters.values():
                yield from words_in(value)
        case list():
            for value in parameters:
                yield from words_in(value)
        case str() if parameters in OWNED:
            yield parameters


def rows() -> dict[str, list[dict[str, Any]]]:
    """Return every row of ours; the record of the request itself is none."""
    models: list[type[Model]] = [
        model
        for label in ("jobs", "tasks_app", "logs_app")
        for model in apps.get_app_config(label).get_models()
        if model is not RequestRecord
    ]
    return {m.__name__: list(m._default_manager.order_by("pk").values()) for m in models}
