"""/api/job/submit: what a submission may say, what it means, and what stays undone if refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from jobs.models import Job
from jobs.rules.enums import CommonStrategy, ExpressionKind, JobStatus
from tasks_app.models import Task
from tests.builders import make_job
from tests.caller import Answer, Caller

PATH = "/api/job/submit"
NEEDED = {"jobName": "daily", "jobType": "dummy", "content": "{}"}
HOURLY = [{"operatorMode": 1, "expression": "0 * * * *"}]


def submit(caller: Caller, **fields: Any) -> Answer:
    return caller.post(PATH, **(NEEDED | fields))


def test_a_submission_answers_the_jobs_id_and_when_it_runs_next(caller: Caller) -> None:
    reply = submit(caller, scheduleExpressionList=HOURLY)

    job = Job.objects.get()
    assert (reply.code, reply.data["jobId"]) == (0, job.pk)
    times = [datetime.fromtimestamp(millis / 1000, UTC) for millis in reply.data["nextTimes"]]
    assert [(at.minute, at.second) for at in times] == [(0, 0)] * 3
    assert times[2] - times[0] == timedelta(hours=2)
    assert (job.app, job.created_by) == (caller.app, "ann")


def test_a_submission_asks_the_database_little(caller: Caller) -> None:
    with CaptureQueriesContext(connection) as asked:
        submit(caller, scheduleExpressionList=HOURLY)

    told = [query["sql"] for query in asked.captured_queries]
    transactions, kept = ("BEGIN", "SAVEPOINT", "RELEASE", "COMMIT"), ("PREPARE", "DEALLOCATE")
    # Who calls; the request; name, group and app; job; expression; audit; the answer.
    assert len([sql for sql in told if not sql.startswith(transactions + kept)]) == 7
    assert len([sql for sql in told if sql.startswith(transactions)]) == 2


def test_what_is_not_said_is_the_published_default(caller: Caller) -> None:
    submit(caller, dependencyList=None, scheduleExpressionList=None)

    job = Job.objects.get()
    assert (job.status, job.content_type, job.priority) == (1, 1, 1)
    assert (job.worker_group_id, job.department, job.biz_groups, job.extra) == (1, "", "", {})
    assert (job.active_from, job.active_until, job.is_one_off) == (None, None, False)
    assert (job.expire_after, job.max_retries) == (timedelta(days=1), 0)
    assert job.retry_interval == timedelta(seconds=3)


def test_defaults_hold_inside_lists_too(caller: Caller) -> None:
    upstream = submit(caller, scheduleExpressionList=HOURLY).data["jobId"]

    reply = submit(
        caller,
        jobName="next",
        dependencyList=[{"operatorMode": 1, "preJobId": upstream}],
        scheduleExpressionList=HOURLY,
    )

    job = Job.objects.get(pk=reply.data["jobId"])
    entry, expression = job.dependencies.get(), job.expressions.get()
    assert (entry.common_strategy, entry.offset) == (CommonStrategy.ALL, "cd")
    assert (expression.kind, expression.text) == (ExpressionKind.CRON, "0 * * * *")


def test_every_field_can_be_said_and_is_read_back_as_said(caller: Caller) -> None:
    said = NEEDED | {
        "status": 5,
        "contentType": 2,
        "params": {"a": [1, None, {"b": "é"}]},
        "workerGroupId": 1,
        "department": "risk",
        "bizGroups": ",1,2,",
        "priority": 10,
        "isTemp": False,
        "activeStartDate": 1772600000000,
        "activeEndDate": 4102444800000,
        "expiredTime": 0,
        "failedAttempts": 100,
        "failedInterval": 604800,
        "isSerial": True,
        "misfirePolicy": "last",
        "timeZone": "Europe/Berlin",
        "timeout": 60,
        "callbackUrl": "https://example.org/done",
    }

    job_id = caller.post(PATH, **said).data["jobId"]
    read = caller.post("/api/job/query", jobId=job_id).data

    assert {name: read[name] for name in said} == said
    assert read["appName"] == caller.app.name


def test_numbers_may_come_as_text_and_params_too(caller: Caller) -> None:
    submit(caller, priority="3", failedAttempts="2", isTemp="true", params='{"a": 1}')

    job = Job.objects.get()
    assert (job.priority, job.max_retries, job.is_one_off, job.extra) == (3, 2, True, {"a": 1})


@pytest.mark.parametrize("status", [1, 2, 5])
def test_a_job_may_start_active_disabled_or_paused(status: int, caller: Caller) -> None:
    submit(caller, status=status)

    assert Job.objects.get().status == status


def test_a_one_off_gets_its_task_at_once(caller: Caller) -> None:
    job_id = submit(caller, isTemp=True).data["jobId"]

    read = caller.post("/api/job/query/status", jobId=job_id).data
    assert read == {
        "jobId": job_id,
        "taskId": Task.objects.get().pk,
        "status": 2,
        "attemptId": 0,
        "reason": None,
    }


def test_a_name_is_taken_within_an_app_only(caller: Caller, other: Caller) -> None:
    submit(caller)

    again, theirs = submit(caller), submit(other)

    assert (again.code, "jobName" in again.msg) == (1, True)
    assert theirs.code == 0


def test_only_an_admin_submits_for_another_app(
    caller: Caller, admin_caller: Caller, other: Caller
) -> None:
    assert submit(caller, appName=other.app.name).code == 1
    assert submit(admin_caller, appName=other.app.name).code == 0
    assert Job.objects.get().app == other.app


def test_another_apps_job_and_an_unknown_one_are_no_upstreams_alike(
    caller: Caller, other: Caller
) -> None:
    theirs = make_job(app=other.app)

    def answer(upstream_id: int) -> str:
        listed = [{"operatorMode": 1, "preJobId": upstream_id}]
        return submit(caller, dependencyList=listed).msg.replace(str(upstream_id), "N")

    assert answer(theirs.pk) == answer(theirs.pk + 1000)


def test_a_wrong_key_submits_nothing(caller: Caller) -> None:
    reply = submit(caller.elsewhere(key="f" * 32))

    assert reply.code == 1
    assert not Job.objects.exists()


def test_content_is_stored_as_it_came(caller: Caller) -> None:
    content = "  echo '; DROP TABLE jobs_job; --' \"$(id)\" `x` \\ \r\n\t<script>{{7*7}}</script> "

    submit(caller, content=content)

    assert Job.objects.get().content == content


@pytest.mark.parametrize("as_json", [False, True])
def test_a_definition_submitted_again_is_the_same_job(as_json: bool, caller: Caller) -> None:
    """What /api/job/query answers is what /api/job/submit takes, ids aside."""
    speaker = caller.elsewhere(as_json=as_json)
    job_id = submit(speaker, scheduleExpressionList=HOURLY).data["jobId"]
    read = speaker.post("/api/job/query", jobId=job_id).data

    copied = speaker.post(
        PATH, **{k: v for k, v in read.items() if k != "jobId"} | {"jobName": "b"}
    )

    copy = speaker.post("/api/job/query", jobId=copied.data["jobId"]).data
    for gone in ("jobId", "jobName"):
        del read[gone], copy[gone]
    for definition in (read, copy):
        del definition["scheduleExpressionList"][0]["expressionId"]
    assert json.dumps(read, sort_keys=True) == json.dumps(copy, sort_keys=True)


def test_a_trashed_jobs_name_is_free_again(caller: Caller) -> None:
    make_job(app=caller.app, name="daily", status=JobStatus.TRASHED)

    assert submit(caller).code == 0
