"""/api/task/queryRelation, explain, timeline: who waits for whom, why, and what happened."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from jobs.models import Job, new_revision
from tasks_app import planner, transitions
from tasks_app.models import Task
from tasks_app.rules.states import AttemptStatus, Finder, Reason, TaskKind, TaskStatus
from tests import engine
from tests.api.jobs import after, millis, slot_in, submit
from tests.builders import make_job, make_task
from tests.caller import Caller

RELATION, EXPLAIN, TIMELINE = "/api/task/queryRelation", "/api/task/explain", "/api/task/timeline"
EXPLAIN_JOB = "/api/job/explain"


def related(caller: Caller, task: Task, kind: int) -> dict[int, list[int]]:
    told = caller.post(RELATION, taskId=task.pk, relationType=kind).data["list"]
    return {entry["jobId"]: entry["taskIds"] for entry in told}


# -- relations -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offset", "seen"),
    [("cd", [2]), ("d(-1)", [1]), ("d(-2,0)", [0, 1]), ("d(2)", [2, 3]), ("", [])],
)
def test_relations_are_the_windows_seen_from_either_side(
    offset: str, seen: list[int], caller: Caller
) -> None:
    upstream = submit(caller, "upstream", "0 3 * * *")
    job = submit(caller, "dependent", "0 5 * * *")
    job.dependencies.create(upstream=upstream, offset=offset)
    Job.objects.filter(pk=job.pk).update(revision=new_revision())
    ups = [make_task(job=upstream, due_at=slot_in(day)) for day in range(4)]
    task = make_task(job=job, due_at=slot_in(2, 5))

    assert related(caller, task, 1) == {upstream.pk: [ups[day].pk for day in seen]}
    for day, up in enumerate(ups):
        assert related(caller, up, 2) == {job.pk: [task.pk] if day in seen else []}


def test_a_rerun_has_relations_in_its_batch_and_a_manual_task_has_none(caller: Caller) -> None:
    first = submit(caller, "first", "0 3 * * *")
    second = submit(caller, "second", "0 5 * * *", dependencyList=[after(first.pk)])
    make_task(job=first, due_at=slot_in(-2))
    span = {"startDate": millis(slot_in(-2)), "endDate": millis(slot_in(-2, 5))}
    ids = [first.pk, second.pk]
    up, task = caller.post("/api/task/rerun", jobIdList=ids, **span).data["taskIds"]
    manual = make_task(job=second, kind=TaskKind.MANUAL.value, due_at=slot_in(-2, 5))

    assert related(caller, Task.objects.get(pk=task), 1) == {first.pk: [up]}
    assert related(caller, Task.objects.get(pk=up), 2) == {second.pk: [task]}
    assert related(caller, manual, 1) == {first.pk: []}


def test_another_apps_tasks_are_left_out(caller: Caller, other: Caller) -> None:
    shared = submit(other, "shared", "0 3 * * *")
    Job.objects.filter(pk=shared.pk).update(is_shared=True)
    job = submit(caller, "mine", "0 5 * * *", dependencyList=[after(shared.pk)])
    theirs = make_task(job=shared, due_at=slot_in(2))
    mine = make_task(job=job, due_at=slot_in(2, 5))

    assert related(caller, mine, 1) == {}
    assert related(other, theirs, 2) == {}


# -- explain ---------------------------------------------------------------------------------------


def gates(answer: Any) -> dict[str, str]:
    return {gate["gate"]: gate["state"] for gate in answer.data["gates"]}


def test_explain_names_the_gate_that_blocks_with_its_window(caller: Caller) -> None:
    upstream = submit(caller, "upstream", "0 3 * * *")
    job = submit(caller, "job", "0 5 * * *", dependencyList=[after(upstream.pk)])
    task = make_task(TaskStatus.WAITING, job=job, due_at=slot_in(2, 5))

    reply = caller.post(EXPLAIN, taskId=task.pk)

    assert (reply.data["jobId"], reply.data["taskId"]) == (job.pk, task.pk)
    states = gates(reply)
    name = f"dependency:{upstream.pk}"
    assert list(states) == [
        "job_status",
        "active_window",
        "slot",
        "opened",
        name,
        "serial",
        "expiry",
        "system",
        "app_limit",
        "workers",
        "dispatched",
        "claimed",
    ]
    assert (states["opened"], states[name], states["serial"]) == (
        "passed",
        "blocking",
        "not_reached",
    )
    (gate,) = [gate for gate in reply.data["gates"] if gate["gate"] == name]
    assert gate["window"] == [millis(slot_in(2, 0)), millis(slot_in(3, 0))]
    assert gate["expected"] == [{"due": millis(slot_in(2)), "status": None}]
    assert (gate["reason"], "not opened yet" in gate["text"]) == ("UPSTREAM_NOT_DONE", True)


def test_a_run_is_explained_before_it_has_a_task(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")

    reply = caller.post(EXPLAIN, jobId=job.pk, scheduleTime=millis(slot_in(2)))

    assert (reply.data["taskId"], reply.data["status"]) == (None, None)
    assert gates(reply)["opened"] == "blocking"


def test_a_time_that_is_no_slot_is_explained_as_one(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")

    reply = caller.post(EXPLAIN, jobId=job.pk, scheduleTime=millis(slot_in(2, 4)))

    assert gates(reply)["slot"] == "blocking"


def test_a_job_and_a_due_time_find_their_task(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    task = make_task(TaskStatus.SUCCESS, job=job, due_at=slot_in(2))

    reply = caller.post(EXPLAIN, jobId=job.pk, scheduleTime=millis(slot_in(2)))

    assert (reply.data["taskId"], set(gates(reply).values())) == (task.pk, {"passed"})


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"jobId": 1},
        {"scheduleTime": 1},
        {"taskId": 1, "jobId": 1},
        {"taskId": 1, "jobId": 1, "scheduleTime": 1},
    ],
    ids=str,
)
def test_explain_needs_a_task_or_a_job_with_a_due_time(
    words: dict[str, Any], caller: Caller
) -> None:
    assert caller.post(EXPLAIN, **words).msg.startswith("taskId is needed alone")


@pytest.mark.parametrize("path", [RELATION, EXPLAIN, TIMELINE])
@pytest.mark.parametrize("silly", [0, -1, "x", 1.5, True, None, [1], 2**63])
def test_a_silly_task_id_is_refused_by_name(path: str, silly: Any, caller: Caller) -> None:
    words = {"relationType": 1} if path == RELATION else {}

    reply = caller.post(path, taskId=silly, **words)

    assert reply.msg.startswith("taskId must be an integer from 1 to ")


@pytest.mark.parametrize("silly", [0, 3, "x", None])
def test_a_silly_relation_type_is_refused_by_name(silly: Any, caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    assert caller.post(RELATION, taskId=task.pk, relationType=silly).msg.startswith("relationType")


# -- the timeline ----------------------------------------------------------------------------------


def facts(caller: Caller, task: Task) -> list[tuple[str, Any, Any, Any]]:
    told = caller.post(TIMELINE, taskId=task.pk).data["facts"]
    assert [fact["time"] for fact in told] == sorted(fact["time"] for fact in told)
    return [(fact["fact"], fact["attemptId"], fact["reason"], fact["user"]) for fact in told]


def test_the_timeline_tells_a_life_in_order(caller: Caller, now: datetime) -> None:
    """D-74."""
    job = make_job(app=caller.app, max_retries=1, retry_interval=timedelta(seconds=10))
    task = make_task(TaskStatus.WAITING, job=job, opened_at=now, due_at=now)
    later = iter(now + timedelta(minutes=minute) for minute in range(1, 20))

    for text in ("the run of job 7 is WAITING", "the run of job 7 is RUNNING"):
        reason = Reason.UPSTREAM_NOT_DONE
        transitions.wait(task, reason, text, gate="dependency:7", now=next(later))
    transitions.release(task, by="the end of task 9 of job 7", now=next(later))
    for _ in range(2):
        transitions.ring([task.pk], now=next(later))
        engine.run(fresh(task), AttemptStatus.FAILED, now=next(later))
    transitions.retry(fresh(task), user="bob", now=next(later))
    transitions.ring([task.pk], now=next(later))
    rung_at = fresh(task).rung_at
    assert rung_at is not None
    transitions.ring([task.pk], unanswered={task.pk: rung_at}, now=next(later))
    transitions.kill(fresh(task), user="carol", now=next(later))

    assert facts(caller, task) == [
        ("opened", None, None, None),
        ("waits", None, "UPSTREAM_NOT_DONE", None),
        ("waits", None, "UPSTREAM_NOT_DONE", None),
        ("released", None, None, None),
        ("rung", 1, None, None),
        ("claimed", 1, None, None),
        ("started", 1, None, None),
        ("attempt_ended", 1, None, None),
        ("retry_wait", 1, "RETRY_WAIT", None),
        ("rung", 2, None, None),
        ("claimed", 2, None, None),
        ("started", 2, None, None),
        ("attempt_ended", 2, None, None),
        ("ended", None, None, None),
        ("retry", None, None, "bob"),
        ("rung", None, None, None),
        ("rung", None, None, None),
        ("kill", None, None, "carol"),
        ("ended", None, "KILLED_BY_USER", None),
    ]


@pytest.mark.parametrize("verb", ["retry", "remove", "force"])
def test_the_timeline_keeps_an_end_that_a_verb_takes_back(
    verb: str, caller: Caller, now: datetime
) -> None:
    """D-74: also the ring and the retry wait that a kill had cut short."""
    job = make_job(app=caller.app, max_retries=1, retry_interval=timedelta(minutes=10))
    task = make_task(job=job, opened_at=now, due_at=now)
    later = iter(now + timedelta(minutes=minute) for minute in range(1, 20))
    engine.run(fresh(task), AttemptStatus.FAILED, now=next(later))
    transitions.kill(fresh(task), user="carol", now=next(later))

    if verb == "retry":
        transitions.retry(fresh(task), user="bob", now=next(later))
    elif verb == "remove":
        transitions.remove(fresh(task), user="bob", now=next(later))
    else:
        done = TaskStatus.SUCCESS
        transitions.force(fresh(task), done, user="bob", text="", now=next(later))

    told = facts(caller, task)[5:]
    last = ("ended", None, "REMOVED_BY_USER" if verb == "remove" else "FORCED", None)
    assert [fact[0] for fact in told[:3]] == ["retry_wait", "kill", "ended"]
    assert [fact[0] for fact in told[3:]] == [verb, *([] if verb == "retry" else ["ended"])]
    assert verb == "retry" or told[-1] == last


def test_the_timeline_says_what_let_a_run_go(caller: Caller) -> None:
    upstream = submit(caller, "upstream", "0 3 * * *")
    job = submit(caller, "job", "0 3 * * *", dependencyList=[after(upstream.pk)])
    run, other = (make_task(TaskStatus.WAITING, job=job, due_at=slot_in(day, 3)) for day in (1, 2))
    done = make_task(job=upstream, due_at=slot_in(1))
    engine.run(fresh(done), now=slot_in(1, 4))
    planner.process_events(by=Finder.TRIGGER, now=slot_in(1, 4))

    caller.post(
        "/api/job/dependency/set",
        jobId=job.pk,
        dependencyList=[{"operatorMode": 3, "preJobId": upstream.pk}],
    )
    planner.process_events(by=Finder.BEAT, now=slot_in(2, 4))

    assert f"by the end of task {done.pk} of job {upstream.pk}" in texts(caller, run)
    assert f"by a change of job {job.pk} by {caller.user}" in texts(caller, other)


def test_the_timeline_names_the_expression_as_it_was(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    planner.open_due(now=slot_in(1))
    row = job.expressions.get()
    edit = {"operatorMode": 2, "expressionId": row.pk, "expression": "0 9 * * *"}

    caller.post("/api/job/scheduleExp/set", jobId=job.pk, scheduleExpressionList=[edit])

    assert "by the expression 0 3 * * *" in texts(caller, Task.objects.get(due_at=slot_in(1)))


def fresh(task: Task) -> Task:
    return Task.objects.select_related("job__app", "worker_group").get(pk=task.pk)


def texts(caller: Caller, task: Task) -> str:
    return " / ".join(fact["text"] for fact in caller.post(TIMELINE, taskId=task.pk).data["facts"])


def test_the_timeline_says_who_opened_the_task(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    scheduled = make_task(job=job, due_at=slot_in(1), opened_by_expression=job.expressions.get())
    named = make_task(job=job, due_at=slot_in(2), named_by=scheduled)
    caller.post("/api/job/run", jobId=job.pk)
    manual = Task.objects.get(kind=TaskKind.MANUAL.value)

    assert "by the expression 0 3 * * *" in texts(caller, scheduled)
    assert f"named by task {scheduled.pk} of job {job.pk}" in texts(caller, named)
    assert facts(caller, manual)[0] == ("opened", None, None, "ann")


def test_the_timeline_shows_force_and_removal_with_their_authors(caller: Caller) -> None:
    forced, removed = (make_task(job__app=caller.app) for _ in range(2))
    at = forced.due_at + timedelta(hours=1)

    transitions.force(forced, TaskStatus.SUCCESS, user="bob", text="forced by bob", now=at)
    transitions.remove(removed, user="carol", now=at)

    assert [fact[0] for fact in facts(caller, forced)][-2:] == ["force", "ended"]
    assert ("force", None, "SUCCESS", "bob") in facts(caller, forced)
    assert ("remove", None, "REMOVED_BY_USER", "carol") in facts(caller, removed)


def test_the_timeline_shows_the_ring_of_a_task_that_nobody_has_taken_yet(caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    transitions.ring([task.pk], now=task.due_at + timedelta(minutes=1))

    assert [fact[0] for fact in facts(caller, task)] == ["opened", "released", "rung"]
    assert "offered to the group default" in texts(caller, task)


# -- explain, at an earlier instant ----------------------------------------------------------------


def test_explain_answers_for_an_earlier_instant(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    Job.objects.filter(pk=job.pk).update(created_at=slot_in(-9))
    task = make_task(job=job, due_at=slot_in(-1), opened_at=slot_in(-1))
    engine.run(fresh(task), now=slot_in(-1, 5))
    earlier = millis(slot_in(-1, 4))

    told = caller.post(EXPLAIN, taskId=task.pk, at=earlier).data

    assert (told["at"], told["taskId"]) == (earlier, task.pk)
    (gate,) = (gate for gate in told["gates"] if gate["state"] == "blocking")
    assert (gate["gate"], gate["since"]) == ("dispatched", millis(slot_in(-1)))
    assert caller.post(EXPLAIN, taskId=task.pk).data["at"] is None


@pytest.mark.parametrize("path", [EXPLAIN, EXPLAIN_JOB])
def test_an_instant_in_the_future_or_before_the_job_is_refused(path: str, caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    words = {"jobId": job.pk, "scheduleTime": millis(slot_in(1))}

    future = caller.post(path, **words, at=millis(slot_in(1)))
    before = caller.post(path, **words, at=millis(slot_in(-3)))

    assert future.msg.startswith("at: it lies in the future")
    assert before.msg.startswith(f"at: job {job.pk} was submitted later")


@pytest.mark.parametrize("silly", [-1, "x", 1.5, True, None, [1], 2**63])
def test_a_silly_instant_is_refused_by_name(silly: Any, caller: Caller) -> None:
    task = make_task(job__app=caller.app)

    assert caller.post(EXPLAIN, taskId=task.pk, at=silly).msg.startswith("at must be epoch")


def test_a_task_is_not_explained_before_it_was_open_but_its_due_time_is(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    Job.objects.filter(pk=job.pk).update(created_at=slot_in(-9))
    task = make_task(job=job, due_at=slot_in(-1), opened_at=slot_in(-1))
    earlier = millis(slot_in(-2))

    by_id = caller.post(EXPLAIN, taskId=task.pk, at=earlier)
    words = {"jobId": job.pk, "scheduleTime": millis(slot_in(-1))}
    by_due = caller.post(EXPLAIN_JOB, **words, at=earlier)

    assert by_id.msg.startswith(f"at: task {task.pk} was opened later")
    assert gates(by_due)["opened"] == "blocking"


@pytest.mark.parametrize("words", [{}, {"jobId": 1}, {"scheduleTime": 1}], ids=str)
def test_a_job_is_explained_for_a_due_time(words: dict[str, Any], caller: Caller) -> None:
    missing = {"jobId", "scheduleTime"} - set(words)

    reply = caller.post(EXPLAIN_JOB, **words)

    assert all(f"{name} is missing" in reply.msg for name in missing)
    assert reply.code == 1
