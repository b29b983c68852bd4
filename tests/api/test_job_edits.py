"""/api/job/edit, dependency/set, scheduleExp/set, status/set: all of a change, or nothing."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.models import AuditEntry, DependencyEntry, Job, ScheduleExpression
from jobs.rules.enums import JobStatus
from sentinel_project import clock
from tasks_app.models import Gap, Task
from tasks_app.rules.states import TaskStatus
from tests.api.jobs import added, after, millis, slot_in, submit
from tests.builders import make_job, make_task
from tests.caller import Caller

EDIT, LINKS = "/api/job/edit", "/api/job/dependency/set"
SLOTS, STATUS = "/api/job/scheduleExp/set", "/api/job/status/set"


def snapshot() -> list[list[Any]]:
    models = (Job, DependencyEntry, ScheduleExpression, Task, AuditEntry)
    return [list(model.objects.order_by("pk").values()) for model in models]


def definition(caller: Caller, job: Job) -> dict[str, Any]:
    told: dict[str, Any] = caller.post("/api/job/query", jobId=job.pk).data
    return told


def test_an_edit_changes_what_is_given_and_nothing_else(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *", priority=3, failedAttempts=2)
    before = definition(caller, job)

    reply = caller.post(EDIT, jobId=job.pk, content='{"seconds": 1}', failedAttempts=0)

    assert (reply.code, reply.data["jobId"]) == (0, job.pk)
    changed = {"content": '{"seconds": 1}', "failedAttempts": 0}
    assert definition(caller, job) == before | changed


def test_zero_takes_an_active_date_away_and_absence_leaves_it(caller: Caller) -> None:
    end = millis(slot_in(30))
    job = submit(caller, "daily", "0 3 * * *", activeEndDate=end)

    caller.post(EDIT, jobId=job.pk, priority=2)
    kept = definition(caller, job)["activeEndDate"]
    caller.post(EDIT, jobId=job.pk, activeEndDate=0)

    assert (kept, definition(caller, job)["activeEndDate"]) == (end, 0)


def test_fields_upstreams_and_expressions_are_one_change(caller: Caller) -> None:
    first, second = submit(caller, "first", "0 3 * * *"), submit(caller, "second", "0 4 * * *")
    job = submit(caller, "third", "0 5 * * *", dependencyList=[after(first.pk)])
    expression = job.expressions.get()

    reply = caller.post(
        EDIT,
        jobId=job.pk,
        jobName="fourth",
        dependencyList=[after(first.pk, mode=3), after(second.pk)],
        scheduleExpressionList=[
            {"operatorMode": 2, "expressionId": expression.pk, "expression": "0 6 * * *"}
        ],
    )

    assert reply.code == 0, reply.msg
    told = definition(caller, job)
    assert told["jobName"] == "fourth"
    assert [entry["preJobId"] for entry in told["dependencyList"]] == [second.pk]
    assert [entry["expression"] for entry in told["scheduleExpressionList"]] == ["0 6 * * *"]


def test_one_wrong_part_leaves_all_parts_as_they_were(caller: Caller) -> None:
    first = submit(caller, "first", "0 3 * * *")
    job = submit(caller, "second", "0 5 * * *")
    before = snapshot()

    reply = caller.post(
        EDIT,
        jobId=job.pk,
        jobName="third",
        dependencyList=[after(first.pk)],
        scheduleExpressionList=[{"operatorMode": 3, "expressionId": 10**9}],
    )

    assert reply.code == 1
    assert "expressionId" in reply.msg
    assert snapshot() == before


def test_what_is_right_in_the_end_may_be_wrong_in_between(caller: Caller) -> None:
    """A job that loses its schedule needs the naming dependency first (D-36)."""
    first = submit(caller, "first", "0 3 * * *")
    job = submit(caller, "second", "0 5 * * *", dependencyList=[after(first.pk, "d(-1)")])
    deleted = {"operatorMode": 3, "expressionId": job.expressions.get().pk}

    reply = caller.post(
        EDIT,
        jobId=job.pk,
        dependencyList=[after(first.pk, "cd", mode=2)],
        scheduleExpressionList=[deleted],
    )

    assert reply.code == 0, reply.msg
    assert not job.expressions.exists()


def test_a_definition_that_was_read_can_be_sent_back_but_for_what_is_not_edited(
    caller: Caller,
) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    read = definition(caller, job)
    same = {
        name: value
        for name, value in read.items()
        if name not in {"status", "isTemp", "dependencyList", "scheduleExpressionList"}
    }

    assert caller.post(EDIT, **same).code == 0
    assert definition(caller, job) == read


def test_the_owner_of_a_job_is_not_edited(admin_caller: Caller, other: Caller) -> None:
    """D-80."""
    job = make_job(app=other.app)

    reply = admin_caller.post(EDIT, jobId=job.pk, appName=admin_caller.app.name)

    assert (reply.code, reply.msg[:8]) == (1, "appName:")
    job.refresh_from_db()
    assert job.app == other.app


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"status": 2}, "status"),
        ({"isTemp": True}, "isTemp"),
        ({"nonsense": 1}, "nonsense"),
        ({"jobName": ""}, "jobName"),
        ({"priority": 11}, "priority"),
        ({"timeZone": "Mars/Olympus"}, "timeZone"),
        (
            {"dependencyList": [{"operatorMode": 4, "preJobId": 1}]},
            "dependencyList[0].operatorMode",
        ),
        ({"dependencyList": [{"operatorMode": 2}]}, "dependencyList[0].preJobId"),
        ({"scheduleExpressionList": [{"operatorMode": 1}]}, "scheduleExpressionList[0].expression"),
        (
            {"scheduleExpressionList": [{"operatorMode": 3}]},
            "scheduleExpressionList[0].expressionId",
        ),
        (
            {"scheduleExpressionList": [{"operatorMode": 3, "expressionId": 5}] * 2},
            "scheduleExpressionList",
        ),
    ],
    ids=str,
)
def test_a_silly_edit_is_refused_by_name(
    fields: dict[str, Any], named: str, caller: Caller
) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    before = snapshot()

    reply = caller.post(EDIT, jobId=job.pk, **fields)

    assert reply.code == 1
    assert reply.msg.startswith(f"{named} ")
    assert snapshot() == before


@pytest.mark.parametrize("path", [EDIT, LINKS, SLOTS])
@pytest.mark.parametrize("silly", [0, -1, "x", 1.5, True, None, [1], 2**63])
def test_a_silly_job_id_is_refused_by_name(path: str, silly: Any, caller: Caller) -> None:
    assert caller.post(path, jobId=silly).msg.startswith("jobId must be an integer from 1 to ")


@pytest.mark.parametrize(
    ("path", "field"), [(LINKS, "dependencyList"), (SLOTS, "scheduleExpressionList")]
)
@pytest.mark.parametrize("silly", [[], None, {}, "x", [1], [[]]])
def test_a_change_set_must_hold_entries(path: str, field: str, silly: Any, caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")

    reply = caller.post(path, jobId=job.pk, **{field: silly})

    assert (reply.code, reply.msg[: len(field)]) == (1, field)


def test_a_cycle_is_refused_and_leaves_the_graph_as_it_was(caller: Caller) -> None:
    """D-39."""
    first = submit(caller, "first", "0 3 * * *")
    second = submit(caller, "second", dependencyList=[after(first.pk)])
    before = snapshot()

    reply = caller.post(LINKS, jobId=first.pk, dependencyList=[after(second.pk)])

    assert (reply.code, "wait for itself" in reply.msg) == (1, True)
    assert snapshot() == before


def test_a_cycle_through_another_apps_job_tells_no_id_that_is_closed(
    caller: Caller, other: Caller
) -> None:
    """W-21: middle is neither this app's nor shared with it."""
    words = {"scheduleExpressionList": [added("0 3 * * *")]}
    top = submit(caller, "top", isShared=True, **words)
    middle = submit(other, "middle", **words, dependencyList=[after(top.pk)])
    bottom = submit(other, "bottom", isShared=True, **words, dependencyList=[after(middle.pk)])

    reply = caller.post(LINKS, jobId=top.pk, dependencyList=[after(bottom.pk)])

    way = f"{top.pk} waits for {bottom.pk} waits for another app's job waits for {top.pk}"
    assert reply.msg == f"dependencyList: the job would wait for itself ({way})"


def test_upstreams_are_added_edited_and_deleted(caller: Caller) -> None:
    first, second = submit(caller, "first", "0 3 * * *"), submit(caller, "second", "0 4 * * *")
    job = submit(caller, "third", "0 5 * * *", dependencyList=[after(first.pk)])

    reply = caller.post(
        LINKS,
        jobId=job.pk,
        dependencyList=[
            after(first.pk, "d(-1)", mode=2, commonStrategy=3),
            after(second.pk, "cd"),
        ],
    )

    assert (reply.code, reply.data) == (0, {"jobId": job.pk})
    told = definition(caller, job)["dependencyList"]
    assert [(e["preJobId"], e["offsetStrategy"], e["commonStrategy"]) for e in told] == [
        (first.pk, "d(-1)", 3),
        (second.pk, "cd", 1),
    ]


def test_a_schedule_is_edited_and_says_when_it_runs_next(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *", "0 4 * * *")
    first, second = job.expressions.order_by("pk")

    reply = caller.post(
        SLOTS,
        jobId=job.pk,
        scheduleExpressionList=[
            {"operatorMode": 3, "expressionId": first.pk},
            {"operatorMode": 2, "expressionId": second.pk, "expression": "0 5 1 1 *"},
            added("h(6)", 2),
        ],
    )

    told = reply.data["expressions"]
    assert [(e["expressionType"], e["expression"]) for e in told] == [(1, "0 5 1 1 *"), (2, "h(6)")]
    assert told[0]["expressionId"] == second.pk
    assert reply.data["nextTimes"] == sorted(reply.data["nextTimes"])
    assert (reply.data["skippedTime"], reply.data["removedTaskId"]) == (None, None)


@pytest.mark.parametrize(
    ("status", "skips"), [(TaskStatus.SUCCESS, True), (TaskStatus.WAITING, False)], ids=str
)
def test_an_edit_says_what_became_of_the_cycle_that_is_under_way(
    status: TaskStatus, skips: bool, caller: Caller
) -> None:
    """D-57: daily, five minutes ago, moved to five minutes from now."""
    now = clock.now().replace(second=0, microsecond=0)
    old, new = now - timedelta(minutes=5), now + timedelta(minutes=5)
    job = submit(caller, "daily", f"{old:%M %H} * * *", timeZone="UTC")
    floor = now - timedelta(days=3)
    Job.objects.update(floor_at=floor, created_at=floor)
    ScheduleExpression.objects.update(floor_at=floor, anchor_at=floor)
    task = make_task(status, job=job, due_at=old)
    edited = {
        "operatorMode": 2,
        "expressionId": job.expressions.get().pk,
        "expression": f"{new:%M %H} * * *",
    }

    reply = caller.post(EDIT, jobId=job.pk, scheduleExpressionList=[edited])

    assert reply.data["skippedTime"] == (millis(new) if skips else None)
    assert reply.data["removedTaskId"] == (None if skips else task.pk)
    assert Gap.objects.filter(job=job, reason="EDITED").count() == int(skips)


@pytest.mark.parametrize("status", [1, 2, 4, 5])
def test_a_status_is_set(status: int, caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *", status=5 if status == 1 else 1)

    reply = caller.post(STATUS, jobIds=[job.pk], status=status)

    assert reply.data["results"] == [
        {"jobId": job.pk, "code": 0, "msg": "success", "status": status, "warnings": []}
    ]
    assert Job.objects.get().status == status


def test_each_job_is_answered_for_itself(caller: Caller, other: Caller) -> None:
    """Whatever becomes of one, the others are done, and an unknown id looks like a foreign one."""
    mine, trashed = submit(caller, "mine"), submit(caller, "trashed")
    caller.post(STATUS, jobIds=[trashed.pk], status=4)
    theirs = make_job(app=other.app)

    reply = caller.post(STATUS, jobIds=[trashed.pk, theirs.pk, 10**9, mine.pk, mine.pk], status=5)

    results = reply.data["results"]
    assert [(result["code"], result["status"]) for result in results] == [
        (1, 4),
        (1, None),
        (1, None),
        (0, 5),
    ]
    assert (reply.code, reply.msg.startswith("3 of 4 refused: ")) == (1, True)
    assert dict(Job.objects.values_list("pk", "status")) == {
        mine.pk: JobStatus.PAUSED,
        trashed.pk: JobStatus.TRASHED,
        theirs.pk: JobStatus.ACTIVE,
    }


def test_jobs_are_set_in_one_order_and_answered_in_the_asked_one(caller: Caller) -> None:
    """Two requests that name the same jobs in another order do not wait for each other."""
    first, second = submit(caller, "first", "0 3 * * *"), submit(caller, "second", "0 3 * * *")

    reply = caller.post(STATUS, jobIds=[second.pk, 10**9, first.pk], status=5)

    done = AuditEntry.objects.filter(action="job.status").order_by("pk")
    assert list(done.values_list("object_id", flat=True)) == [first.pk, second.pk]
    answered = [result["jobId"] for result in reply.data["results"]]
    assert answered == [second.pk, 10**9, first.pk]


def test_enabling_warns_of_who_waits_in_vain(caller: Caller) -> None:
    """D-38: while the upstream was DISABLED nobody judged the dependency."""
    upstream = submit(caller, "monthly", "0 3 1 * *", status=2)
    waiting = submit(caller, "yearly", "0 5 15 6 *", dependencyList=[after(upstream.pk, "cd")])

    reply = caller.post(STATUS, jobIds=[upstream.pk], status=1)

    (warning,) = reply.data["results"][0]["warnings"]
    assert (reply.code, warning.startswith(f"job {waiting.pk} waits for it in vain")) == (0, True)


def test_enabling_tells_nothing_of_other_apps_jobs_and_of_trashed_ones(
    caller: Caller, other: Caller
) -> None:
    """W-21: that another app's job waits, and when it is due, is not this app's business."""
    upstream = submit(caller, "monthly", "0 3 1 * *", status=2, isShared=True)
    link = {"dependencyList": [after(upstream.pk, "cd")]}
    submit(other, "theirs", "0 5 15 6 *", **link)
    trashed = submit(caller, "trashed", "0 5 15 6 *", **link)
    caller.post(STATUS, jobIds=[trashed.pk], status=4)

    reply = caller.post(STATUS, jobIds=[upstream.pk], status=1)

    assert (reply.code, reply.data["results"][0]["warnings"]) == (0, [])


@pytest.mark.parametrize("silly", [0, 3, 6, "x", None, True])
def test_a_silly_status_is_refused_by_name(silly: Any, caller: Caller) -> None:
    job = submit(caller, "daily")
    before = snapshot()

    reply = caller.post(STATUS, jobIds=[job.pk], status=silly)

    assert (reply.code, reply.msg.split()[0]) == (1, "status")
    assert snapshot() == before


@pytest.mark.parametrize("silly", [[], None, 1, [0], ["x"], [None]])
def test_silly_job_ids_are_refused_by_name(silly: Any, caller: Caller) -> None:
    assert caller.post(STATUS, jobIds=silly, status=1).msg.startswith("jobIds")


def test_all_parts_of_an_edit_are_judged_before_any_is_refused(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    row = job.expressions.get()
    before = snapshot()

    reply = caller.post(
        EDIT,
        jobId=job.pk,
        workerGroupId=77,
        dependencyList=[after(10**9)],
        scheduleExpressionList=[
            {"operatorMode": 2, "expressionId": row.pk, "expression": "0 0 30 2 *"}
        ],
    )

    fields = (
        "workerGroupId:",
        f"dependencyList.preJobId: there is no job {10**9}",
        "scheduleExpressionList.expression:",
    )
    assert all(field in reply.msg for field in fields), reply.msg
    assert snapshot() == before


def test_an_upstream_that_is_edited_and_dropped_at_once_is_refused(caller: Caller) -> None:
    first = submit(caller, "first", "0 3 * * *")
    job = submit(caller, "second", "0 5 * * *", dependencyList=[after(first.pk)])
    before = snapshot()

    links = [after(first.pk, "d(-1)", mode=2), after(first.pk, mode=3)]
    reply = caller.post(LINKS, jobId=job.pk, dependencyList=links)

    assert reply.msg == f"dependencyList.preJobId: {first.pk} is named twice"
    assert snapshot() == before


def test_one_edit_leaves_one_entry_in_the_audit_log_with_all_its_parts(caller: Caller) -> None:
    first = submit(caller, "first", "0 3 * * *")
    job = submit(caller, "second", "0 5 * * *")
    AuditEntry.objects.all().delete()

    caller.post(
        EDIT,
        jobId=job.pk,
        priority=3,
        dependencyList=[after(first.pk)],
        scheduleExpressionList=[added("0 6 * * *")],
    )

    entry = AuditEntry.objects.get()
    assert entry.before == {
        "priority": 1,
        "dependencies": [],
        "schedule": [{"id": job.expressions.first().pk, "kind": 1, "text": "0 5 * * *"}],  # type: ignore[union-attr]
    }
    assert set(entry.after or {}) == {"priority", "dependencies", "schedule"}


def test_a_new_zone_and_a_new_expression_are_read_together(caller: Caller) -> None:
    """The expression means the zone that the job is to have."""
    job = submit(caller, "daily", "0 3 * * *")
    row = job.expressions.get()

    caller.post(
        EDIT,
        jobId=job.pk,
        timeZone="UTC",
        scheduleExpressionList=[
            {"operatorMode": 2, "expressionId": row.pk, "expression": "0 9 * * *"}
        ],
    )

    row.refresh_from_db()
    assert row.next_due_at is not None
    assert (row.next_due_at.hour, row.next_due_at > clock.now()) == (9, True)


def test_a_job_is_shared_and_unshared_by_a_field_of_its_definition(caller: Caller) -> None:
    job = submit(caller, "daily", isShared=True)

    shared = definition(caller, job)["isShared"]
    caller.post(EDIT, jobId=job.pk, isShared=False)

    assert (shared, definition(caller, job)["isShared"]) == (True, False)


def test_a_job_is_not_shared_unless_it_says_so(caller: Caller) -> None:
    assert definition(caller, submit(caller, "daily"))["isShared"] is False
