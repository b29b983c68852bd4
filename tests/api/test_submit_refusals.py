"""/api/job/submit: what is refused, by which name, and that a refusal leaves no row (W-4)."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.models import DependencyEntry, Job, ScheduleExpression
from tasks_app.models import Task
from tests.caller import Answer, Caller

PATH = "/api/job/submit"
NEEDED = {"jobName": "daily", "jobType": "dummy", "content": "{}"}


def submit(caller: Caller, **fields: Any) -> Answer:
    return caller.post(PATH, **(NEEDED | fields))


def rows() -> tuple[int, int, int, int]:
    return (
        Job.objects.count(),
        DependencyEntry.objects.count(),
        ScheduleExpression.objects.count(),
        Task.objects.count(),
    )


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
