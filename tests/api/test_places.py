"""Apps, worker groups, workers and labels: what ADMIN apps look after (D-80 to D-83)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs import operators
from jobs.models import App, AuditEntry, BizGroup, Department, Job, RequestRecord, WorkerGroup
from jobs.rules.enums import JobStatus
from sentinel_project import clock
from tasks_app.models import Worker
from tests.builders import KEY, make_app, make_attempt, make_job
from tests.caller import Caller

STATUS = "/api/task/query/status"
UNIFORM = "appName or appToken is wrong."
#: Where a label is kept: its room on the wire, and its model.
LABELS: list[tuple[str, Any]] = [("department", Department), ("bizGroup", BizGroup)]


# -- apps ------------------------------------------------------------------------------------------


def test_an_added_app_can_call_with_the_key_of_the_answer(admin_caller: Caller) -> None:
    reply = admin_caller.post("/api/app/add", appName="billing", owner="bi", maxConcurrency="5")

    app = App.objects.get(name="billing")
    assert reply.data == {"appId": app.pk, "appName": "billing", "appKey": reply.data["appKey"]}
    assert Caller(app, key=reply.data["appKey"]).post(STATUS, taskId=1).msg == "no task 1"
    assert (app.kind, app.owner, app.max_concurrency, app.token_forms) == (
        "NORMAL",
        "bi",
        5,
        "both",
    )


def test_a_key_is_nowhere_but_in_the_answer_and_its_repetition(admin_caller: Caller) -> None:
    fields = {"appName": "billing", "requestId": "r-1"}

    first, again = (admin_caller.post("/api/app/add", **fields) for _ in range(2))

    assert first.raw == again.raw
    stored = [list(model.objects.values()) for model in (App, AuditEntry, RequestRecord)]
    assert first.data["appKey"] not in str(stored)


def test_an_answer_sealed_under_a_secret_that_is_gone_is_refused_and_not_done_again(
    admin_caller: Caller, settings: Any
) -> None:
    admin_caller.post("/api/app/add", appName="billing", requestId="r-1")
    record = RequestRecord.objects.get()
    record.answer = "gAAAAAB" + "x" * 60
    record.save()

    reply = admin_caller.post("/api/app/add", appName="billing", requestId="r-1")

    assert (reply.code, "can no longer be read" in reply.msg) == (1, True)


@pytest.mark.parametrize("name", ["", " x", "x ", "x" * 65, "a\nb", "a\u200bb", 7, None])
def test_a_silly_app_name_is_refused_by_name(name: Any, admin_caller: Caller) -> None:
    reply = admin_caller.post("/api/app/add", appName=name)

    assert (reply.code, reply.msg.split()[0]) == (1, "appName")


@pytest.mark.parametrize("name", ["chief", "operator", "gone"])
def test_a_name_that_is_taken_or_reserved_registers_nothing(
    name: str, admin_caller: Caller
) -> None:
    make_app(name="gone", closed_at=clock.now(), is_enabled=False)
    before = App.objects.count()

    assert admin_caller.post("/api/app/add", appName=name).code == 1
    assert App.objects.count() == before


def test_an_edit_changes_what_is_given_and_leaves_the_rest(
    admin_caller: Caller, caller: Caller
) -> None:
    group = WorkerGroup.objects.create(name="fast")
    admin_caller.post("/api/app/edit", appName="mine", owner="bi", maxPriority=4)

    reply = admin_caller.post("/api/app/edit", appName="mine", workerGroupIds=[group.pk])

    assert reply.data["workerGroupIds"] == [group.pk]
    assert (reply.data["owner"], reply.data["maxPriority"]) == ("bi", 4)
    assert (
        admin_caller.post("/api/app/edit", appName="mine", workerGroupIds=[]).data["workerGroupIds"]
        == []
    )
    assert AuditEntry.objects.filter(action="app.edit", app=admin_caller.app).count() == 3


def test_an_unknown_worker_group_is_refused_and_nothing_is_edited(
    admin_caller: Caller, caller: Caller
) -> None:
    reply = admin_caller.post("/api/app/edit", appName="mine", owner="bi", workerGroupIds=[99])

    assert reply.msg == "workerGroupIds: there is no worker group 99"
    assert App.objects.get(name="mine").owner == ""


def test_a_disabled_app_is_refused_until_it_is_enabled(
    admin_caller: Caller, caller: Caller
) -> None:
    admin_caller.post("/api/app/edit", appName="mine", status=2)
    refused = caller.post(STATUS, taskId=1)
    admin_caller.post("/api/app/edit", appName="mine", status="1")

    assert refused.msg == UNIFORM
    assert caller.post(STATUS, taskId=1).msg == "no task 1"


@pytest.mark.parametrize(
    ("path", "more"), [("/api/app/edit", {"status": 2}), ("/api/app/delete", {})]
)
def test_an_app_does_not_lock_itself_out(
    path: str, more: dict[str, Any], admin_caller: Caller
) -> None:
    reply = admin_caller.post(path, appName="chief", **more)

    assert (reply.code, "itself" in reply.msg) == (1, True)
    assert App.objects.get(name="chief").is_enabled


def test_a_deleted_app_is_gone_and_its_name_stays_taken(
    admin_caller: Caller, caller: Caller
) -> None:
    make_job(app=caller.app, status=JobStatus.TRASHED)

    assert admin_caller.post("/api/app/delete", appName="mine").data == {"appName": "mine"}

    assert caller.post(STATUS, taskId=1).msg == UNIFORM
    listed = admin_caller.post("/api/app/list").data["apps"]
    assert [each["appName"] for each in listed] == ["chief"]
    assert admin_caller.post("/api/app/edit", appName="mine").msg == "no app 'mine'"
    assert "was deleted" in admin_caller.post("/api/app/add", appName="mine").msg
    spec = {"jobName": "j", "jobType": "dummy", "content": "{}", "appName": "mine"}
    assert "appName" in admin_caller.post("/api/job/submit", **spec).msg


def test_an_app_with_jobs_is_not_deleted(admin_caller: Caller, caller: Caller) -> None:
    make_job(app=caller.app)

    assert "1 jobs that are not TRASHED" in admin_caller.post("/api/app/delete", appName="mine").msg
    assert caller.post(STATUS, taskId=1).msg == "no task 1"


def test_a_second_key_is_good_beside_the_first_until_that_is_dropped(
    admin_caller: Caller, caller: Caller
) -> None:
    def answers(*keys: str) -> list[str]:
        return [caller.elsewhere(key=key).post(STATUS, taskId=1).msg for key in keys]

    second = admin_caller.post("/api/app/rotateKey", appName="mine").data["appKey"]
    assert answers(KEY, second) == ["no task 1", "no task 1"]
    third = admin_caller.post("/api/app/rotateKey", appName="mine")
    assert (third.code, "two keys" in third.msg) == (1, True)
    dropped = admin_caller.post("/api/app/rotateKey", appName="mine", dropOld=True)

    assert dropped.data == {"appName": "mine", "appKey": None}
    assert answers(KEY, second) == [UNIFORM, "no task 1"]
    again = admin_caller.post("/api/app/rotateKey", appName="mine", dropOld=True)
    assert again.msg == "app mine has no old key"


@pytest.mark.parametrize("path", ["edit", "delete", "rotateKey"])
def test_the_operators_app_is_nobodys_to_change(path: str, admin_caller: Caller) -> None:
    operators.operator()

    reply = admin_caller.post(f"/api/app/{path}", appName="operator")

    assert reply.msg == "no app 'operator'"


def test_a_list_is_read_page_by_page(admin_caller: Caller) -> None:
    for number in range(4):
        make_app(name=f"team {number}")

    first = admin_caller.post("/api/app/list", appName="TEAM", limit=3).data
    rest = admin_caller.post("/api/app/list", appName="TEAM", limit=3, cursor=first["cursor"]).data

    names = [each["appName"] for page in (first, rest) for each in page["apps"]]
    assert names == ["team 3", "team 2", "team 1", "team 0"]
    assert rest["cursor"] is None
    assert "cursor" in admin_caller.post("/api/app/list", cursor="x").msg


# -- worker groups and workers ---------------------------------------------------------------------


def test_a_worker_group_is_added_renamed_and_switched(admin_caller: Caller) -> None:
    group_id = admin_caller.post("/api/workerGroup/add", workerGroupName="fast").data[
        "workerGroupId"
    ]
    taken = admin_caller.post("/api/workerGroup/add", workerGroupName="fast")
    admin_caller.post("/api/workerGroup/edit", workerGroupId=group_id, workerGroupName="faster")
    switched = admin_caller.post("/api/workerGroup/status/set", workerGroupId=group_id, status=2)

    assert taken.msg == "a worker group named 'fast' exists already"
    assert switched.data == {
        "workerGroupId": group_id,
        "workerGroupName": "faster",
        "status": 2,
        "liveSlots": 0,
    }
    listed = admin_caller.post("/api/workerGroup/list", workerGroupName="FAST").data
    assert listed == {"workerGroups": [switched.data], "cursor": None}


@pytest.mark.parametrize(
    ("path", "more"), [("edit", {"workerGroupName": "x"}), ("status/set", {"status": 1})]
)
def test_an_unknown_worker_group_is_not_found(
    path: str, more: dict[str, Any], admin_caller: Caller
) -> None:
    reply = admin_caller.post(f"/api/workerGroup/{path}", workerGroupId=99, **more)

    assert reply.msg == "no worker group 99"


def test_workers_are_listed_with_what_they_run(admin_caller: Caller) -> None:
    now = clock.now()
    alive = Worker.objects.create(
        name="w1", host="h", pid=1, pool="prefork", slots=4, started_at=now, beat_at=now
    )
    alive.groups.add(1)
    stale = now - timedelta(minutes=1)
    Worker.objects.create(
        name="w2", host="h", pid=2, pool="prefork", slots=4, started_at=stale, beat_at=stale
    )
    attempt = make_attempt(worker="w1")

    workers = admin_caller.post("/api/worker/list").data["workers"]

    assert [(each["workerName"], each["isAlive"]) for each in workers] == [
        ("w2", False),
        ("w1", True),
    ]
    run = {"taskId": attempt.task_id, "attemptId": 1, "jobId": attempt.task.job_id}
    assert [each["runs"] for each in workers] == [[], [run]]
    for filters in ({"isAlive": True}, {"workerGroupId": 1}, {"workerName": "W1"}):
        found = admin_caller.post("/api/worker/list", **filters).data["workers"]
        assert [each["workerName"] for each in found] == ["w1"]
    dead = admin_caller.post("/api/worker/list", isAlive=False).data["workers"]
    assert [each["workerName"] for each in dead] == ["w2"]


# -- labels ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("room", "model"), LABELS)
def test_a_label_is_added_renamed_listed_and_deleted(
    room: str, model: Any, admin_caller: Caller
) -> None:
    made = admin_caller.post(f"/api/{room}/add", **{f"{room}Name": "risk"}).data
    taken = admin_caller.post(f"/api/{room}/add", **{f"{room}Name": "risk"})
    which = {f"{room}Id": made[f"{room}Id"]}
    renamed = admin_caller.post(f"/api/{room}/edit", **which, **{f"{room}Name": "risks"}).data

    assert taken.code == 1
    assert renamed == which | {f"{room}Name": "risks"}
    assert admin_caller.post(f"/api/{room}/list").data == {f"{room}s": [renamed], "cursor": None}
    assert admin_caller.post(f"/api/{room}/delete", **which).data == renamed
    assert not model.objects.exists()
    assert admin_caller.post(f"/api/{room}/delete", **which).code == 1


def test_jobs_follow_the_name_of_their_department(admin_caller: Caller, caller: Caller) -> None:
    room = Department.objects.create(name="risk")
    job, other = make_job(app=caller.app, department="risk"), make_job(department="risky")

    admin_caller.post("/api/department/edit", departmentId=room.pk, departmentName="credit")

    found = {each.pk: each.department for each in Job.objects.all()}
    assert found == {job.pk: "credit", other.pk: "risky"}


def test_a_label_that_a_job_carries_is_not_deleted(admin_caller: Caller) -> None:
    room, group = Department.objects.create(name="risk"), BizGroup.objects.create(name="loans")
    job = make_job(department="risk", biz_groups=f",{group.pk},")

    def codes() -> list[int]:
        return [
            admin_caller.post("/api/department/delete", departmentId=room.pk).code,
            admin_caller.post("/api/bizGroup/delete", bizGroupId=group.pk).code,
        ]

    assert codes() == [1, 1]
    Job.objects.filter(pk=job.pk).update(status=JobStatus.TRASHED)
    assert codes() == [0, 0]


def test_a_job_may_carry_a_label_that_is_in_no_list(caller: Caller) -> None:
    """ADR 0080."""
    spec = {"jobName": "j", "jobType": "dummy", "content": "{}"}

    reply = caller.post("/api/job/submit", **spec, department="nowhere", bizGroups=",77,")

    assert reply.code == 0


# -- grants ----------------------------------------------------------------------------------------


def test_a_grant_lets_another_app_wait_and_its_end_lets_nobody_else(
    caller: Caller, other: Caller
) -> None:
    upstream = make_job(app=caller.app)
    entry = [{"operatorMode": 1, "preJobId": upstream.pk}]
    daily = [{"operatorMode": 1, "expression": "0 3 * * *"}]
    caller.post(
        "/api/job/scheduleExp/set",
        jobId=upstream.pk,
        scheduleExpressionList=[{"operatorMode": 1, "expression": "0 1 * * *"}],
    )

    def submit(name: str) -> int:
        return other.post(
            "/api/job/submit",
            jobName=name,
            jobType="dummy",
            content="{}",
            dependencyList=entry,
            scheduleExpressionList=daily,
        ).code

    before = submit("a")
    granted = caller.post("/api/job/grant/set", jobId=upstream.pk, appNames=["other", "later"])
    during = submit("b")
    assert caller.post("/api/job/grant/list", jobId=upstream.pk).data == granted.data
    caller.post("/api/job/grant/set", jobId=upstream.pk, appNames=[])

    assert granted.data == {"jobId": upstream.pk, "appNames": ["later", "other"]}
    assert (before, during, submit("c")) == (1, 0, 1)
    assert AuditEntry.objects.filter(action="job.grant").count() == 2


def test_a_grant_does_not_tell_which_apps_exist(caller: Caller, other: Caller) -> None:
    job = make_job(app=caller.app)

    replies = [
        caller.post("/api/job/grant/set", jobId=job.pk, appNames=[name])
        for name in ("other", "nobody")
    ]

    assert [reply.code for reply in replies] == [0, 0]


@pytest.mark.parametrize(
    "silly", [None, "other", [""], ["x" * 65], [7], [["other"]], ["x"] * 1001, {"a": 1}]
)
def test_silly_names_are_refused_by_name(silly: Any, caller: Caller) -> None:
    job = make_job(app=caller.app)

    reply = caller.post("/api/job/grant/set", jobId=job.pk, appNames=silly)

    assert (reply.code, reply.msg[:8]) == (1, "appNames")
