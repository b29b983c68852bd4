"""/api/job/submit: what a submission may say, what it means, and what stays undone if refused."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from jobs.models import DependencyEntry, Job, ScheduleExpression
from jobs.rules.enums import CommonStrategy, ExpressionKind, JobStatus
from tasks_app.models import Task
from tests.builders import make_job
from tests.caller import Answer, Caller

PATH = "/api/job/submit"
NEEDED = {"jobName": "daily", "jobType": "dummy", "content": "{}"}
HOURLY = [{"operatorMode": 1, "expression": "0 * * * *"}]


def submit(caller: Caller, **fields: Any) -> Answer:
    return caller.post(PATH, **(NEEDED | fields))


def rows() -> tuple[int, int, int, int]:
    return (
        Job.objects.count(),
        DependencyEntry.objects.count(),
        ScheduleExpression.objects.count(),
        Task.objects.count(),
    )


def test_a_submission_answers_the_jobs_id_and_when_it_runs_next(caller: Caller) -> None:
    reply = submit(caller, scheduleExpressionList=HOURLY)

    job = Job.objects.get()
    assert (reply.code, reply.data["jobId"]) == (0, job.pk)
    times = [datetime.fromtimestamp(millis / 1000, UTC) for millis in reply.data["nextTimes"]]
    assert [(at.minute, at.second) for at in times] == [(0, 0)] * 3
    assert times[2] - times[0] == timedelta(hours=2)
    assert (job.app, job.created_by) == (caller.app, "ann")


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


@pytest.mark.parametrize("missing", list(NEEDED))
def test_what_is_needed_is_named_when_it_is_missing(missing: str, caller: Caller) -> None:
    fields = {name: value for name, value in NEEDED.items() if name != missing}

    reply = caller.post(PATH, **fields)

    assert reply.code == 1
    assert reply.msg.startswith(f"{missing} is missing; it must be ")
    assert rows() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("field", "silly"),
    [
        *[("jobName", silly) for silly in ("", " ", "x" * 257, 1)],
        *[("jobType", silly) for silly in ("cobol", "", 1, "Shell")],
        ("content", ""),
        ("content", "x" * (1024 * 1024 + 1)),
        *[("status", silly) for silly in (0, 3, 4, 6, True)],
        *[("contentType", silly) for silly in (0, 4, 1.5)],
        *[("params", silly) for silly in ("[]", "x", 1, "{")],
        ("workerGroupId", 0),
        ("workerGroupId", 10**25),
        ("department", "x" * 257),
        *[("bizGroups", silly) for silly in ("a", ",,", 5)],
        *[("priority", silly) for silly in (-1, 11, "1.5", False)],
        ("isTemp", "yes"),
        *[("activeStartDate", silly) for silly in (-1, "2026-03-04", 10**18)],
        *[("expiredTime", silly) for silly in (-1, 1.5)],
        *[("failedAttempts", silly) for silly in (-1, 101)],
        *[("failedInterval", silly) for silly in (-1, 604801)],
        ("dependencyList", {}),
        *[("dependencyList", silly) for silly in ("x", 1)],
        ("scheduleExpressionList", {}),
        ("scheduleExpressionList", "x"),
        ("misfirePolicy", "never"),
        ("timeZone", "Mars/Olympus"),
        ("timeout", -1),
        ("callbackUrl", "file:///etc/passwd"),
    ],
)
def test_a_silly_value_is_refused_by_name(field: str, silly: Any, caller: Caller) -> None:
    reply = submit(caller, **{field: silly})

    assert reply.code == 1
    assert reply.msg.startswith(f"{field} ")
    assert len(reply.msg) < 400
    assert rows() == (0, 0, 0, 0)


def test_a_typo_is_refused_with_the_nearest_name(caller: Caller) -> None:
    reply = submit(caller, failedAttempt=3)

    assert reply.msg == "failedAttempt is not a field here; did you mean failedAttempts?"
    assert rows() == (0, 0, 0, 0)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ({"preJobId": 1}, "dependencyList[0].operatorMode is missing"),
        ({"operatorMode": 2, "preJobId": 1}, "dependencyList[0].operatorMode must be 1 (ADD)"),
        ({"operatorMode": 1}, "dependencyList[0].preJobId is missing"),
        ({"operatorMode": 1, "preJobId": 0}, "dependencyList[0].preJobId must be"),
        ({"operatorMode": 1, "preJobId": 1, "offset": "cd"}, "did you mean offsetStrategy?"),
        ({"operatorMode": 1, "preJobId": 1, "commonStrategy": 4}, "[0].commonStrategy must be"),
        (None, "dependencyList[0] must be an object"),
        ("x", "dependencyList[0] must be an object"),
    ],
)
def test_a_silly_entry_is_refused_by_its_place(entry: Any, said: str, caller: Caller) -> None:
    reply = submit(caller, dependencyList=[entry])

    assert reply.code == 1
    assert said in reply.msg
    assert rows() == (0, 0, 0, 0)


def test_all_that_is_wrong_is_told_together(caller: Caller) -> None:
    reply = caller.post(
        PATH,
        jobName="",
        priority=11,
        colour="red",
        dependencyList=[{"operatorMode": 1}, {"operatorMode": 9, "preJobId": "x"}],
        scheduleExpressionList=[{"operatorMode": 1, "expressionType": 5, "expression": 1}],
    )

    for named in (
        "jobName ",
        "jobType ",
        "content ",
        "priority ",
        "colour ",
        "dependencyList[0].preJobId ",
        "dependencyList[1].operatorMode ",
        "dependencyList[1].preJobId ",
        "scheduleExpressionList[0].expressionType ",
        "scheduleExpressionList[0].expression ",
    ):
        assert named in reply.msg


def test_a_list_above_a_thousand_is_refused_as_a_whole(caller: Caller) -> None:
    reply = submit(caller, dependencyList=[{}] * 1001)

    assert reply.msg == "dependencyList must hold at most 1000, not 1001"


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        pytest.param({"workerGroupId": 99}, "workerGroupId", id="unknown group"),
        pytest.param(
            {"activeStartDate": 2000, "activeEndDate": 1000}, "activeStartDate", id="order"
        ),
        pytest.param(
            {"dependencyList": [{"operatorMode": 1, "preJobId": 999}]}, "preJobId", id="upstream"
        ),
        pytest.param(
            {"scheduleExpressionList": [{"operatorMode": 1, "expression": "61 * * * *"}]},
            "scheduleExpressionList",
            id="expression",
        ),
        pytest.param({"appName": "other"}, "appName", id="another owner"),
    ],
)
def test_what_the_domain_refuses_leaves_no_row(
    fields: dict[str, Any], named: str, caller: Caller
) -> None:
    reply = submit(caller, **fields)

    assert (reply.code, named in reply.msg) == (1, True)
    assert rows() == (0, 0, 0, 0)


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
    assert rows() == (0, 0, 0, 0)


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
