"""Jobs with work on YARN as a worker runs them: retried, and not beside what may still run (I9)."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from logs_app.models import StreamKind
from tasks_app.models import Attempt, Task
from tasks_app.rules.states import TaskKind, TaskStatus
from tests.builders import NOW, make_output, make_task
from tests.flow.runs import job_of, run, run_again
from tests.flow.yarn_double import EPOCH, Double, serving, write_client

LEFT = f"application_{EPOCH}_0077"

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Double]:
    """A cluster with a client for it."""
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    with serving() as made:
        monkeypatch.setenv("SENTINEL_SPARK_COMMAND", str(write_client(tmp_path / "client", made)))
        monkeypatch.setenv("SENTINEL_YARN_RM", made.address)
        yield made


def test_a_cluster_job_is_retried_unless_its_application_may_live(
    server: Double,
) -> None:
    words = {"extra": {"args": ["submit raise"]}, "max_retries": 1}
    job = job_of("spark", "print(1)", retry_interval=timedelta(0), **words)

    first = run(job)
    second = run_again(first.task.pk)
    server.refuses = (403, "no")
    unproved = run(job)

    assert (first.task.status, second.ending) == (TaskStatus.READY, ("FAILED", "EXIT_CODE"))
    assert "SparkException: no table größer" in second.task.reason_text
    assert server.states() == ["KILLED", "KILLED", "RUNNING"]
    assert unproved.ending == ("FAILED", "KILL_UNCONFIRMED")


def lost_task(reason: str = "LOST") -> Task:
    """Return a task whose first attempt had submitted before it was lost with its worker."""
    job = job_of("spark", "print(1)", extra={"args": ["submit"]}, max_retries=3)
    task = make_task(job=job, kind=TaskKind.MANUAL.value, attempt_count=0)
    told = f"INFO impl.YarnClientImpl: Submitted application {LEFT}\n".encode()
    lost = make_output(told, kind=StreamKind.LOG, is_closed=True, task=task)
    Attempt.objects.filter(pk=lost.pk).update(status="LOST", reason=reason, ended_at=NOW)
    Task.objects.filter(pk=task.pk).update(attempt_count=1, fence=1)
    return task


def test_what_a_lost_worker_has_left_is_ended_before_the_next_try(server: Double) -> None:
    server.add(LEFT)

    ran = run_again(lost_task().pk)

    assert (ran.ending, ran.attempt.number) == (("SUCCESS", ""), 2)
    assert server.states() == ["KILLED", "RUNNING"]
    assert ran.log.index(f"{LEFT}: KILLED") < ran.log.index("Submitted application")


def test_nothing_begins_beside_what_a_lost_worker_has_left(server: Double) -> None:
    server.add(LEFT)
    server.refuses = (403, "no")

    ran = run_again(lost_task().pk)

    assert ran.ending == ("FAILED", "KILL_UNCONFIRMED")
    assert ran.task.reason_text.endswith(f"On the cluster may still run: {LEFT}.")
    assert "Submitted" not in ran.log
    assert server.states() == ["RUNNING"]


def test_what_was_handed_back_has_left_nothing(server: Double) -> None:
    server.add(LEFT)

    assert run_again(lost_task(reason="SHUTDOWN").pk).ending == ("SUCCESS", "")
    assert server.told == []
