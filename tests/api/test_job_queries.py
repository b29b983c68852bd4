"""/api/job/list, queryRelation, plan: which jobs there are, who waits for whom, what is owed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs import outlook
from jobs.models import Job, ScheduleExpression
from tasks_app.models import SkipMark
from tasks_app.rules.states import TaskStatus
from tests.api.jobs import added, after, millis, slot_in, submit
from tests.builders import make_job, make_task
from tests.caller import Caller

LIST, RELATION, PLAN = "/api/job/list", "/api/job/queryRelation", "/api/job/plan"


def names(caller: Caller, **filters: Any) -> list[str]:
    return [job["jobName"] for job in caller.post(LIST, **filters).data["jobs"]]


def test_jobs_are_listed_newest_first_with_their_next_due_time(caller: Caller) -> None:
    submit(caller, "first")
    job = submit(caller, "second", "0 3 * * *", department="ops", bizGroups=",1,2,")

    told = caller.post(LIST).data

    assert [each["jobName"] for each in told["jobs"]] == ["second", "first"]
    next_due = ScheduleExpression.objects.get().next_due_at
    assert next_due is not None
    assert told["jobs"][0] == {
        "jobId": job.pk,
        "jobName": "second",
        "jobType": "dummy",
        "appName": "mine",
        "status": 1,
        "workerGroupId": 1,
        "department": "ops",
        "bizGroups": ",1,2,",
        "priority": 1,
        "isTemp": False,
        "isSerial": False,
        "timeZone": "Asia/Shanghai",
        "nextTime": millis(next_due),
    }
    assert (told["jobs"][1]["nextTime"], told["cursor"]) == (None, None)


def test_pages_show_every_job_once(caller: Caller) -> None:
    made = [make_job(app=caller.app).name for _ in range(7)]

    seen: list[str] = []
    cursor: Any = None
    while True:
        page = caller.post(LIST, limit=3, cursor=cursor).data
        seen += [job["jobName"] for job in page["jobs"]]
        cursor = page["cursor"]
        if cursor is None:
            break

    assert seen == made[::-1]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ["paused", "Over", "Nightly"]),
        ({"jobName": "NIGHT"}, ["Nightly"]),
        ({"jobName": "%"}, []),
        ({"status": 1}, ["Nightly"]),
        ({"status": 3}, ["Over"]),
        ({"status": 4}, ["trashed"]),
        ({"status": 5}, ["paused"]),
        ({"jobType": "shell"}, ["Over"]),
        ({"department": "ops"}, ["Nightly"]),
        ({"department": "op"}, []),
        ({"bizGroup": 1}, ["Nightly"]),
        ({"bizGroup": 11}, ["Over"]),
        ({"workerGroupId": 1}, ["paused", "Over", "Nightly"]),
        ({"workerGroupId": 2}, []),
        ({"appName": "mine", "jobName": "o"}, ["Over"]),
        ({"jobName": "Nightly", "status": 5}, []),
    ],
    ids=str,
)
def test_filters_narrow_the_list(
    filters: dict[str, Any], expected: list[str], caller: Caller
) -> None:
    past = slot_in(-1)
    make_job(app=caller.app, name="Nightly", department="ops", biz_groups=",1,2,")
    make_job(app=caller.app, name="Over", active_until=past, job_type="shell", biz_groups=",11,")
    make_job(app=caller.app, name="paused", status=5)
    make_job(app=caller.app, name="trashed", status=4)

    assert names(caller, **filters) == expected


@pytest.mark.parametrize(
    ("field", "silly"),
    [
        *[("status", silly) for silly in (0, 6, "x", True)],
        *[("limit", silly) for silly in (0, 1001)],
        *[("cursor", silly) for silly in ("x", "-1", "1.5", "٣", "9" * 19, 5)],
        ("bizGroup", 0),
        ("jobName", 1),
        ("nonsense", 1),
    ],
)
def test_a_silly_filter_is_refused_by_name(field: str, silly: Any, caller: Caller) -> None:
    reply = caller.post(LIST, **{field: silly})

    assert (reply.code, reply.msg.split()[0]) == (1, field)


# -- relations -------------------------------------------------------------------------------------


def chain(caller: Caller) -> list[Job]:
    """Return four jobs: the second and the third wait for the first, the fourth for both."""
    first = submit(caller, "first", "0 3 * * *")
    second = submit(caller, "second", dependencyList=[after(first.pk, "")])
    third = submit(caller, "third", "0 4 * * *", dependencyList=[after(first.pk, "d(-1)")])
    links = [after(second.pk, commonStrategy=2), after(third.pk, commonStrategy=3)]
    return [first, second, third, submit(caller, "fourth", dependencyList=links)]


def related(caller: Caller, job: Job, kind: int, depth: int) -> list[tuple[Any, ...]]:
    reply = caller.post(RELATION, jobId=job.pk, relationType=kind, depth=depth)
    return [tuple(entry.values()) for entry in reply.data["list"]]


def test_upstreams_are_found_level_by_level(caller: Caller) -> None:
    first, second, third, fourth = chain(caller)
    near = [(second.pk, 1, 1, 2, "cd"), (third.pk, 1, 1, 3, "cd")]

    assert related(caller, fourth, 1, 1) == near
    assert related(caller, fourth, 1, 10) == [*near, (first.pk, 1, 2, 1, "")]


def test_dependents_are_found_level_by_level(caller: Caller) -> None:
    first, second, third, fourth = chain(caller)
    near = [(second.pk, 1, 1, 1, ""), (third.pk, 1, 1, 1, "d(-1)")]

    assert related(caller, first, 2, 1) == near
    assert related(caller, first, 2, 2) == [*near, (fourth.pk, 1, 2, 2, "cd")]


def test_relations_end_where_another_apps_jobs_begin(
    caller: Caller, other: Caller, admin_caller: Caller
) -> None:
    """A shared upstream tells its status, and is not looked behind."""
    root = submit(other, "root", "0 1 * * *")
    shared = submit(other, "shared", "0 2 * * *", dependencyList=[after(root.pk)])
    Job.objects.filter(pk=shared.pk).update(is_shared=True)
    mine = submit(caller, "mine", dependencyList=[after(shared.pk)])

    assert related(caller, mine, 1, 10) == [(shared.pk, 1, 1, 1, "cd")]
    assert related(other, shared, 2, 10) == []
    assert related(admin_caller, mine, 1, 10) == [
        (shared.pk, 1, 1, 1, "cd"),
        (root.pk, 1, 2, 1, "cd"),
    ]


@pytest.mark.parametrize(
    ("field", "silly"),
    [
        *[("relationType", silly) for silly in (0, 3, "x", None)],
        *[("depth", silly) for silly in (0, 11, -1, "x")],
        *[("jobId", silly) for silly in (0, "x", None)],
    ],
)
def test_a_silly_relation_is_refused_by_name(field: str, silly: Any, caller: Caller) -> None:
    job = submit(caller, "daily")

    reply = caller.post(RELATION, **{"jobId": job.pk, "relationType": 1} | {field: silly})

    assert (reply.code, reply.msg.split()[0]) == (1, field)


# -- the plan --------------------------------------------------------------------------------------


def test_the_plan_lists_what_is_owed_and_what_has_its_task(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    other_job = submit(caller, "early", "0 2 * * *")
    task = make_task(TaskStatus.WAITING, job=job, due_at=slot_in(2), reason="UPSTREAM_NOT_DONE")
    SkipMark.objects.create(job=job, due_at=slot_in(3), created_at=slot_in(0))

    reply = caller.post(PLAN, **{"from": millis(slot_in(2, 0)), "to": millis(slot_in(4, 0))})

    wanted = ("jobId", "scheduleTime", "taskId", "status", "reason")
    assert [tuple(run[name] for name in wanted) for run in reply.data["runs"]] == [
        (other_job.pk, millis(slot_in(2, 2)), None, None, None),
        (job.pk, millis(slot_in(2)), task.pk, 1, "UPSTREAM_NOT_DONE"),
        (other_job.pk, millis(slot_in(3, 2)), None, None, None),
        (job.pk, millis(slot_in(3)), None, None, "SKIPPED_BY_USER"),
    ]


def test_the_plan_starts_with_its_start_and_ends_before_its_end(caller: Caller) -> None:
    submit(caller, "daily", "0 3 * * *")

    reply = caller.post(PLAN, **{"from": millis(slot_in(2)), "to": millis(slot_in(3))})

    assert [run["scheduleTime"] for run in reply.data["runs"]] == [millis(slot_in(2))]


def test_the_plan_of_a_job_without_a_schedule_are_the_runs_that_will_be_named(
    caller: Caller,
) -> None:
    first = submit(caller, "first", "0 3 * * *")
    job = submit(caller, "second", dependencyList=[after(first.pk)])
    span = {"from": millis(slot_in(2, 0)), "to": millis(slot_in(3, 0))}

    reply = caller.post(PLAN, jobId=job.pk, **span)

    assert [run["scheduleTime"] for run in reply.data["runs"]] == [millis(slot_in(2))]


def test_a_disabled_job_owes_nothing(caller: Caller) -> None:
    submit(caller, "daily", "0 3 * * *", status=2)
    span = {"from": millis(slot_in(2, 0)), "to": millis(slot_in(4, 0))}

    assert caller.post(PLAN, **span).data["runs"] == []


def test_the_plan_is_of_the_jobs_that_meet_the_filters(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *", department="ops")
    submit(caller, "other", "0 3 * * *")
    span = {"from": millis(slot_in(2, 0)), "to": millis(slot_in(3, 0))}

    for filters in ({"department": "ops"}, {"jobName": "AIL"}, {"jobId": job.pk}):
        runs = caller.post(PLAN, **span, **filters).data["runs"]
        assert [run["jobName"] for run in runs] == ["daily"]


@pytest.mark.parametrize(
    ("start", "end", "named"),
    [
        (slot_in(3), slot_in(2), "from"),
        (slot_in(1), slot_in(8) + timedelta(milliseconds=1), "to"),
    ],
    ids=["backwards", "too long"],
)
def test_a_range_that_is_none_is_refused(start: Any, end: Any, named: str, caller: Caller) -> None:
    reply = caller.post(PLAN, **{"from": millis(start), "to": millis(end)})

    assert (reply.code, reply.msg.split(":")[0]) == (1, named)


@pytest.mark.parametrize(("field", "silly"), [("from", 0), ("to", 0), ("from", "x"), ("to", None)])
def test_a_silly_instant_is_refused_by_name(field: str, silly: Any, caller: Caller) -> None:
    span = {"from": millis(slot_in(1)), "to": millis(slot_in(2))}

    reply = caller.post(PLAN, **span | {field: silly})

    assert (reply.code, reply.msg.split()[0]) == (1, field)


def test_a_plan_of_too_many_runs_is_refused(caller: Caller) -> None:
    submit(caller, "seconds", scheduleExpressionList=[added("s(1)", 2)])
    span = {"from": millis(slot_in(1)), "to": millis(slot_in(2))}

    reply = caller.post(PLAN, **span)

    assert reply.code == 1
    assert f"at most {outlook.MAX_RUNS} runs" in reply.msg
