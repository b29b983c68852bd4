"""/api/task/remove, rerun, modify/status, and the switch of the whole system."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.models import AuditEntry, Job
from tasks_app.models import Batch, Task
from tasks_app.rules.states import AttemptStatus, TaskKind, TaskStatus
from tests.api.jobs import after, millis, slot_in, submit
from tests.builders import make_attempt, make_job, make_task
from tests.caller import Caller

REMOVE, RERUN, FORCE = "/api/task/remove", "/api/task/rerun", "/api/task/modify/status"
SYSTEM, SET_SYSTEM = "/api/system/status/get", "/api/system/status/set"


def statuses() -> dict[int, int]:
    return dict(Task.objects.values_list("pk", "status"))


# -- remove ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code", "then"),
    [
        (TaskStatus.WAITING, 0, TaskStatus.REMOVED),
        (TaskStatus.READY, 0, TaskStatus.REMOVED),
        (TaskStatus.RUNNING, 0, TaskStatus.RUNNING),
        (TaskStatus.SUCCESS, 1, TaskStatus.SUCCESS),
        (TaskStatus.FAILED, 0, TaskStatus.REMOVED),
        (TaskStatus.KILLED, 0, TaskStatus.REMOVED),
        (TaskStatus.REMOVED, 0, TaskStatus.REMOVED),
    ],
)
def test_remove_takes_out_what_has_not_succeeded(
    status: TaskStatus, code: int, then: TaskStatus, caller: Caller
) -> None:
    """D-54: what runs is killed first."""
    task = make_task(status, job__app=caller.app)

    reply = caller.post(REMOVE, taskIds=[task.pk])

    assert (reply.code, reply.data["results"][0]["status"]) == (code, then.value)
    task.refresh_from_db()
    assert task.removes_after_kill is (status is TaskStatus.RUNNING)


def test_each_task_is_removed_for_itself(caller: Caller, other: Caller) -> None:
    mine, theirs = make_task(job__app=caller.app), make_task(job__app=other.app)

    reply = caller.post(REMOVE, taskIds=[theirs.pk, mine.pk, 10**9])

    assert [result["code"] for result in reply.data["results"]] == [1, 0, 1]
    assert statuses() == {mine.pk: 99, theirs.pk: 2}


def test_tasks_are_acted_on_in_one_order_and_answered_in_the_asked_one(caller: Caller) -> None:
    """Two requests that name the same tasks in another order do not wait for each other."""
    first, second = (make_task(job__app=caller.app) for _ in range(2))

    reply = caller.post(REMOVE, taskIds=[second.pk, 10**9, first.pk])

    done = AuditEntry.objects.filter(action="task.remove").order_by("pk")
    assert list(done.values_list("object_id", flat=True)) == [first.pk, second.pk]
    answered = [result["taskId"] for result in reply.data["results"]]
    assert answered == [second.pk, 10**9, first.pk]


@pytest.mark.parametrize("silly", [[], None, 1, [0], ["x"], [1] * 1001])
def test_silly_task_ids_are_refused_by_name(silly: Any, caller: Caller) -> None:
    assert caller.post(REMOVE, taskIds=silly).msg.startswith("taskIds")


# -- rerun -----------------------------------------------------------------------------------------


def pair(caller: Caller) -> tuple[Job, Job]:
    first = submit(caller, "first", "0 3 * * *")
    return first, submit(caller, "second", "0 5 * * *", dependencyList=[after(first.pk)])


def span(start: int, end: int) -> dict[str, int]:
    return {"startDate": millis(slot_in(start)), "endDate": millis(slot_in(end))}


def test_a_rerun_opens_one_task_for_each_slot_in_due_order(caller: Caller) -> None:
    """D-51: slots before the jobs were made are allowed."""
    first, second = pair(caller)

    reply = caller.post(RERUN, jobIdList=[second.pk, first.pk], **span(-4, -2))

    tasks = [Task.objects.get(pk=task_id) for task_id in reply.data["taskIds"]]
    assert [(task.job_id, task.due_at) for task in tasks] == [
        (first.pk, slot_in(-4)),
        (second.pk, slot_in(-4, 5)),
        (first.pk, slot_in(-3)),
        (second.pk, slot_in(-3, 5)),
        (first.pk, slot_in(-2)),
    ]
    assert {(task.kind, task.batch_id) for task in tasks} == {
        (TaskKind.RERUN.value, reply.data["batchId"])
    }
    assert reply.data["cutTime"] is None


def test_a_dry_run_shows_the_same_and_opens_nothing(caller: Caller) -> None:
    first, second = pair(caller)
    words = {"jobIdList": [first.pk], "withDependents": True} | span(-3, -2)

    shown = caller.post(RERUN, **words, dryRun=True).data

    assert (Task.objects.count(), Batch.objects.count()) == (0, 0)
    done = caller.post(RERUN, **words).data["taskIds"]
    rows = Task.objects.filter(pk__in=done).order_by("due_at").values_list("job_id", "due_at")
    assert [(task["jobId"], task["scheduleTime"]) for task in shown["tasks"]] == [
        (job_id, millis(due)) for job_id, due in rows
    ]
    assert {job_id for job_id, _ in rows} == {first.pk, second.pk}
    assert (shown["count"], shown["cutTime"]) == (3, None)


@pytest.mark.parametrize("is_dry", [True, False])
def test_a_range_beyond_now_is_cut_and_says_so(is_dry: bool, caller: Caller) -> None:
    first, _ = pair(caller)

    reply = caller.post(RERUN, jobIdList=[first.pk], dryRun=is_dry, **span(-2, 5))

    assert millis(slot_in(-1)) < reply.data["cutTime"] < millis(slot_in(2))


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"jobIdList": []}, "jobIdList"),
        ({"jobIdList": None}, "jobIdList"),
        ({"jobIdList": [0]}, "jobIdList[0]"),
        ({"startDate": 0}, "startDate"),
        ({"endDate": "x"}, "endDate"),
        ({"endDate": 1}, "startDate"),
        ({"dryRun": "yes"}, "dryRun"),
        ({"withDependents": 2}, "withDependents"),
        (span(3, 4), "there is no slot"),
    ],
    ids=str,
)
def test_a_silly_rerun_is_refused(words: dict[str, Any], said: str, caller: Caller) -> None:
    first, _ = pair(caller)

    reply = caller.post(RERUN, **{"jobIdList": [first.pk]} | span(-3, -2) | words)

    assert (reply.code, reply.msg.startswith(said)) == (1, True)
    assert (Task.objects.count(), Batch.objects.count()) == (0, 0)


def test_one_foreign_job_refuses_the_whole_rerun(caller: Caller, other: Caller) -> None:
    first, _ = pair(caller)
    theirs = make_job(app=other.app)

    reply = caller.post(RERUN, jobIdList=[first.pk, theirs.pk], **span(-3, -2))

    assert (reply.code, reply.msg) == (1, f"no job {theirs.pk}")
    assert not Task.objects.exists()


def test_another_apps_dependents_are_not_rerun(caller: Caller, other: Caller) -> None:
    first, second = pair(caller)
    Job.objects.filter(pk=first.pk).update(is_shared=True)
    submit(other, "theirs", "0 6 * * *", dependencyList=[after(first.pk)])
    words = {"jobIdList": [first.pk], "withDependents": True, "dryRun": True}

    shown = caller.post(RERUN, **words, **span(-3, -2)).data["tasks"]

    assert {task["jobId"] for task in shown} == {first.pk, second.pk}


# -- force -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [TaskStatus.SUCCESS, TaskStatus.FAILED], ids=str)
def test_an_admin_forces_a_status(target: TaskStatus, admin_caller: Caller, other: Caller) -> None:
    """D-52."""
    task = make_task(TaskStatus.WAITING, job__app=other.app)

    reply = admin_caller.post(FORCE, taskId=task.pk, status=target.value, reason="agreed")

    assert reply.data == {
        "taskId": task.pk,
        "status": target.value,
        "attemptId": 0,
        "reason": "FORCED",
    }
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.user, entry.object_id) == ("task.force", "ann", task.pk)
    task.refresh_from_db()
    assert task.reason_text.endswith("by ann: agreed")


def test_a_forced_task_loses_its_running_attempt(admin_caller: Caller) -> None:
    attempt = make_attempt(task__job__app=admin_caller.app)

    admin_caller.post(FORCE, taskId=attempt.task_id, status=4)

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.KILLED


@pytest.mark.parametrize("status", [TaskStatus.SUCCESS, TaskStatus.REMOVED], ids=str)
def test_what_is_over_for_good_is_not_forced(status: TaskStatus, admin_caller: Caller) -> None:
    task = make_task(status, job__app=admin_caller.app)

    reply = admin_caller.post(FORCE, taskId=task.pk, status=5)

    assert (reply.code, status.name in reply.msg) == (1, True)
    assert statuses() == {task.pk: status.value}


@pytest.mark.parametrize("silly", [0, 1, 2, 3, 6, 99, "x", None, True])
def test_a_silly_forced_status_is_refused_by_name(silly: Any, admin_caller: Caller) -> None:
    task = make_task(job__app=admin_caller.app)

    reply = admin_caller.post(FORCE, taskId=task.pk, status=silly)

    assert (reply.code, reply.msg.split()[0]) == (1, "status")
    assert statuses() == {task.pk: 2}


def test_an_unknown_task_is_not_forced(admin_caller: Caller) -> None:
    assert admin_caller.post(FORCE, taskId=10**9, status=4).msg == f"no task {10**9}"


# -- the whole system ------------------------------------------------------------------------------


def test_the_system_is_paused_and_resumed(admin_caller: Caller) -> None:
    """D-60."""
    assert admin_caller.post(SYSTEM).data["status"] == 1

    for status in (2, 1):
        reply = admin_caller.post(SET_SYSTEM, status=status)
        told = admin_caller.post(SYSTEM).data
        assert reply.data == told
        assert (told["status"], told["changeUser"]) == (status, "ann")
        assert (
            abs(told["changeTime"] - millis(slot_in(0))) < timedelta(days=2).total_seconds() * 1e3
        )


def test_a_pause_is_audited_and_the_same_again_is_none(admin_caller: Caller) -> None:
    """D-85."""
    for status in (2, 2):
        admin_caller.post(SET_SYSTEM, status=status)

    entry = AuditEntry.objects.get(action="system.pause")
    assert (entry.app, entry.user) == (admin_caller.app, "ann")
    assert (entry.before, entry.after) == ({"is_paused": False}, {"is_paused": True})


@pytest.mark.parametrize("silly", [0, 3, None, "x", True])
def test_a_silly_system_status_is_refused_by_name(silly: Any, admin_caller: Caller) -> None:
    reply = admin_caller.post(SET_SYSTEM, status=silly)

    assert (reply.code, reply.msg.split()[0]) == (1, "status")
    assert admin_caller.post(SYSTEM).data["status"] == 1


def test_what_takes_no_parameters_refuses_them(admin_caller: Caller) -> None:
    assert admin_caller.post(SYSTEM, status=1).msg.startswith("status is not a field here")
