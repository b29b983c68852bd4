"""Another app's job that one waits for: open while it is shared or granted, closed then (D-80)."""

from __future__ import annotations

from typing import Any

import pytest

from jobs.models import Job
from tasks_app.models import Task
from tasks_app.rules.states import TaskStatus
from tests.api.jobs import after, slot_in, submit
from tests.builders import make_task
from tests.caller import Caller


@pytest.fixture
def waiting(caller: Caller, other: Caller) -> tuple[Job, Task]:
    """A job of another app whose run failed, and a task of ours that waits for it."""
    theirs = submit(other, "secret", "0 3 * * *", isShared=True)
    link = after(theirs.pk)
    ours = submit(caller, "ours", "0 5 * * *", dependencyList=[link])
    make_task(TaskStatus.FAILED, job=theirs, due_at=slot_in(0))
    task = make_task(TaskStatus.WAITING, job=ours, due_at=slot_in(0, 5))
    return theirs, task


def told_of(caller: Caller, theirs: Job, task: Task) -> dict[str, Any]:
    """Return what explain, preview and queryRelation say of the upstream."""
    gates = caller.post("/api/task/explain", taskId=task.pk).data["gates"]
    (gate,) = (gate for gate in gates if gate["gate"] == f"dependency:{theirs.pk}")
    seen = caller.post("/api/job/preview", jobId=task.job_id, count=1).data["runs"]
    related = caller.post("/api/job/queryRelation", jobId=task.job_id, relationType=1).data["list"]
    return {"gate": gate, "preview": seen, "status": related[0]["status"]}


def test_a_shared_job_tells_who_waits_for_it_its_name_and_states(
    caller: Caller, waiting: tuple[Job, Task]
) -> None:
    theirs, task = waiting

    told = told_of(caller, theirs, task)

    assert (told["gate"]["reason"], "(secret)" in told["gate"]["text"]) == ("UPSTREAM_FAILED", True)
    assert [run["status"] for run in told["gate"]["expected"]] == [5]
    assert told["status"] == 1


def test_a_job_that_is_no_longer_shared_tells_its_id_and_whether_it_is_done(
    caller: Caller, other: Caller, waiting: tuple[Job, Task]
) -> None:
    theirs, task = waiting
    other.post("/api/job/edit", jobId=theirs.pk, isShared=False)

    told = told_of(caller, theirs, task)

    assert "secret" not in str(told)
    assert told["gate"]["reason"] == "UPSTREAM_NOT_DONE"
    assert f"job {theirs.pk} due" in told["gate"]["text"]
    assert told["gate"]["text"].endswith("is not done")
    assert [run["status"] for run in told["gate"]["expected"]] == [None]
    assert told["status"] is None


def test_a_granted_job_tells_as_much_as_a_shared_one(
    caller: Caller, other: Caller, waiting: tuple[Job, Task]
) -> None:
    theirs, task = waiting
    other.post("/api/job/edit", jobId=theirs.pk, isShared=False)
    other.post("/api/job/grant/set", jobId=theirs.pk, appNames=[caller.app.name])

    assert "(secret)" in told_of(caller, theirs, task)["gate"]["text"]
