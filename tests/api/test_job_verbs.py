"""/api/job/run, skip, fill: what an operator asks of a job (D-55)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from jobs.models import AuditEntry
from tasks_app.models import Gap, SkipMark, Task
from tasks_app.rules.states import TaskKind, TaskStatus
from tests.api.jobs import added, millis, slot_in, submit
from tests.builders import make_task
from tests.caller import Caller

RUN, SKIP, FILL = "/api/job/run", "/api/job/skip", "/api/job/fill"


def state() -> tuple[int, int, int, int]:
    return tuple(model.objects.count() for model in (Task, SkipMark, Gap, AuditEntry))  # type: ignore[return-value]


def test_run_now_opens_a_task_that_waits_for_nothing(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *", status=5)

    reply = caller.post(RUN, jobId=job.pk, params={"day": 1})

    task = Task.objects.get(pk=reply.data["taskId"])
    assert (task.kind, task.status, task.extra) == (TaskKind.MANUAL, TaskStatus.READY, {"day": 1})
    assert (task.execute_user, task.expires_at) == ("ann", None)


def test_run_now_without_params_uses_the_jobs_own(caller: Caller) -> None:
    job = submit(caller, "daily", params={"a": 1})

    caller.post(RUN, jobId=job.pk)

    assert Task.objects.get().extra is None


@pytest.mark.parametrize("words", [{"status": 4}, {"is_one_off": True}], ids=str)
def test_what_cannot_be_run_now_is_not(words: dict[str, Any], caller: Caller) -> None:
    job = submit(caller, "daily")
    type(job).objects.update(**words)
    before = state()

    assert caller.post(RUN, jobId=job.pk).code == 1
    assert state() == before


def test_a_slot_to_come_is_marked(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")

    reply = caller.post(SKIP, jobId=job.pk, scheduleTime=millis(slot_in(2)), reason="holiday")

    assert reply.data == {"jobId": job.pk, "scheduleTime": millis(slot_in(2))}
    mark = SkipMark.objects.get()
    assert (mark.due_at, mark.user, mark.reason) == (slot_in(2), "ann", "holiday")


@pytest.mark.parametrize("due", [slot_in(2, 4), slot_in(-2)], ids=["no slot", "past"])
def test_what_cannot_be_skipped_is_not(due: Any, caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    before = state()

    reply = caller.post(SKIP, jobId=job.pk, scheduleTime=millis(due))

    assert (reply.code, reply.msg[:13]) == (1, "scheduleTime:")
    assert state() == before


def test_gaps_in_a_range_are_filled(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    series = job.expressions.get()
    Gap.objects.create(
        job=job,
        expression=series,
        schedule_kind=1,
        schedule_text=series.text,
        anchor_at=series.anchor_at,
        from_at=slot_in(-4),
        to_at=slot_in(-2),
        count=3,
        reason="CAPPED",
        created_at=slot_in(0),
    )

    words = {"from": millis(slot_in(-3)), "to": millis(slot_in(-2))}
    reply = caller.post(FILL, jobId=job.pk, **words)

    tasks = Task.objects.filter(pk__in=reply.data["taskIds"]).order_by("due_at")
    assert [task.due_at for task in tasks] == [slot_in(-3), slot_in(-2)]
    assert {task.expires_at for task in tasks} == {None}
    left = Gap.objects.get()
    assert (left.from_at, left.to_at, left.count) == (slot_in(-4), slot_in(-4), 1)


def year_long_gap(caller: Caller) -> Gap:
    """Return a gap of 31 million slots, one a second."""
    job = submit(caller, "seconds", status=5, scheduleExpressionList=[added("s(1)", 2)])
    series = job.expressions.get()
    return Gap.objects.create(
        job=job,
        expression=series,
        schedule_kind=2,
        schedule_text=series.text,
        anchor_at=slot_in(-400),
        from_at=slot_in(-365),
        to_at=slot_in(0) - timedelta(seconds=1),
        count=365 * 86_400,
        reason="CAPPED",
        created_at=slot_in(0),
    )


@pytest.mark.timeout(30)
def test_more_than_a_fill_may_open_is_refused_before_it_is_enumerated(caller: Caller) -> None:
    gap = year_long_gap(caller)
    before = state()

    words = {"from": millis(gap.from_at), "to": millis(gap.to_at)}
    reply = caller.post(FILL, jobId=gap.job_id, **words)

    assert (reply.code, reply.msg[:33]) == (1, "a fill has at most 10000 slots; c")
    assert state() == before


@pytest.mark.timeout(30)
@pytest.mark.parametrize("skipped", [0, 1, 10])
def test_a_fill_costs_what_it_opens_and_not_what_the_gap_holds(
    skipped: int, caller: Caller
) -> None:
    """D-55: at an end the gap shrinks, inside it splits."""
    gap = year_long_gap(caller)
    first = gap.from_at + timedelta(seconds=skipped)
    last = first + timedelta(seconds=2)

    words = {"from": millis(first), "to": millis(last)}
    reply = caller.post(FILL, jobId=gap.job_id, **words)

    assert len(reply.data["taskIds"]) == 3
    moment = timedelta(seconds=1)
    left = [(last + moment, gap.to_at, gap.count - 3 - skipped)]
    left = [(gap.from_at, first - moment, skipped), *left] if skipped else left
    rows = Gap.objects.order_by("from_at").values_list("from_at", "to_at", "count")
    assert list(rows) == left


def test_a_range_without_a_gap_is_refused(caller: Caller) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    make_task(job=job, due_at=slot_in(-1))
    before = state()

    reply = caller.post(FILL, jobId=job.pk, **{"from": 1, "to": millis(slot_in(0))})

    assert (reply.code, reply.msg) == (1, f"job {job.pk} has no gap in this range")
    assert state() == before


SILLY = [0, -1, "x", 1.5, True, None, [1], 2**63]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        (RUN, "jobId"),
        (SKIP, "jobId"),
        (SKIP, "scheduleTime"),
        (FILL, "jobId"),
        (FILL, "from"),
        (FILL, "to"),
    ],
)
@pytest.mark.parametrize("silly", SILLY)
def test_a_silly_parameter_is_refused_by_name(
    path: str, field: str, silly: Any, caller: Caller
) -> None:
    job = submit(caller, "daily", "0 3 * * *")
    words: dict[str, dict[str, Any]] = {
        RUN: {},
        SKIP: {"scheduleTime": millis(slot_in(2))},
        FILL: {"from": 1, "to": 2},
    }
    before = state()

    reply = caller.post(path, **{"jobId": job.pk} | words[path] | {field: silly})

    assert (reply.code, reply.msg.split()[0]) == (1, field)
    assert state() == before


@pytest.mark.parametrize("silly", ["[]", 1, None, "x"])
def test_silly_params_of_a_run_are_refused_by_name(silly: Any, caller: Caller) -> None:
    job = submit(caller, "daily")

    assert caller.post(RUN, jobId=job.pk, params=silly).msg.startswith("params")
    assert not Task.objects.exists()


def test_a_range_that_runs_backwards_is_refused(caller: Caller) -> None:
    job = submit(caller, "daily")
    end = slot_in(0)

    words = {"from": millis(end), "to": millis(end - timedelta(days=1))}

    assert caller.post(FILL, jobId=job.pk, **words).msg == "from: it lies after to"


@pytest.mark.parametrize("path", [RUN, SKIP, FILL])
def test_a_repeated_request_is_done_once(path: str, caller: Caller) -> None:
    """W-13."""
    job = submit(caller, "daily", "0 3 * * *")
    words: dict[str, dict[str, Any]] = {
        RUN: {},
        SKIP: {"scheduleTime": millis(slot_in(2))},
        FILL: {"from": 1, "to": 2},
    }
    asked = {"jobId": job.pk, "requestId": "once"} | words[path]

    first, second = caller.post(path, **asked), caller.post(path, **asked)

    assert first.raw == second.raw
    assert Task.objects.count() == (1 if path == RUN else 0)
