"""Wrong products, each a small patch, and the check that must catch it (3-execution.md 7).

Each test runs the product and its mutant through the same course: the first passes the check, the
second must not.
"""

from __future__ import annotations

import os
import signal
import threading
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from chaos.checker import History, check
from chaos.recorded import run_of
from django.db import connection, transaction
from kombu import Connection

from sentinel_project import broker, clock, env
from sentinel_project.chained import Step
from tasks_app import celery_tasks, dispatcher, reports, rescuer, transitions
from tasks_app.executors.base import StopReason
from tasks_app.executors.tree import Tree
from tasks_app.models import Task, Worker
from tasks_app.rules.states import AttemptStatus, TaskStatus
from tasks_app.transitions import moves
from tests.builders import make_attempt, make_job, make_task
from tests.engine import begin
from tests.flow.executions import Run as Execution
from tests.flow.executions import eventually, living, make_execution, new_marker
from tests.flow.processes import SUCCESS, Installation

DONE = transitions.Ending(status=AttemptStatus.SUCCESS, exit_code=0, text="it ended")
mutants = pytest.mark.parametrize("is_mutant", [False, True], ids=["product", "mutant"])


def violations(task: Task) -> list[str]:
    task = Task.objects.select_related("job").get(pk=task.pk)
    return check([run_of(task)], [], History())


def without_fence(*_: object) -> list[Step]:
    """Believe whoever reports, also one whose attempt was taken over: let no step depend on it."""
    return []


@mutants
def test_without_a_fence_a_late_report_ends_the_next_attempt(
    db: None, monkeypatch: pytest.MonkeyPatch, *, is_mutant: bool
) -> None:
    """X-3, I2: the first worker was taken for dead, and reports while the second one runs."""
    now = clock.now()
    task = make_task(job=make_job(max_retries=3, retry_interval=timedelta(0)), ready_at=now)
    first = begin(task, now=now)
    lost = transitions.Ending(status=AttemptStatus.LOST, text="it was silent")
    assert transitions.rescue(first, lost, now=now + timedelta(seconds=1)) is not None
    later = now + timedelta(seconds=2)
    begin(task, now=later)
    if is_mutant:
        monkeypatch.setattr(moves, "closing", without_fence)

    transitions.settle(first, DONE, now=later)

    # The second attempt is live: at this moment only I7, a task that has not ended, may be said.
    said = [words for words in violations(task) if not words.startswith("I7")]
    assert bool(said) == is_mutant, said
    assert not is_mutant or said[0].startswith("I2")


@mutants
def test_without_a_warm_up_work_that_was_done_is_done_again(
    db: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_mutant: bool
) -> None:
    """The database returns after an hour: a run ended meanwhile, and is about to be reported."""
    attempt = make_attempt(lease_until=clock.now() - timedelta(hours=1))
    ahead = reports.write_ahead(tmp_path, attempt, DONE)
    assert ahead is not None
    ahead.close()
    fresh = rescuer.Rescuer()
    if is_mutant:
        fresh._quiet_since = fresh._quiet_since - 3600

    fresh.run_once(now=clock.now())
    reports.report_left(tmp_path, now=clock.now())

    attempt.task.refresh_from_db()
    assert (attempt.task.status != TaskStatus.SUCCESS) == is_mutant


def killpg(tree: Tree) -> bool:
    """End the process group, and believe that this was all."""
    assert tree._first is not None
    os.killpg(tree._first.pid, signal.SIGKILL)
    tree.is_gone = True
    return True


@mutants
def test_a_plain_killpg_leaves_a_daemon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_mutant: bool
) -> None:
    """I8, X-21."""
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    monkeypatch.setenv("SENTINEL_CONTAINMENT", "process-group")
    marker = new_marker()
    run = Execution(make_execution(f"setsid sleep {marker} & sleep {marker}", root=tmp_path))
    assert eventually(lambda: len(living(marker)) == 2)
    if is_mutant:
        monkeypatch.setattr(Tree, "kill", killpg)

    run.stop(StopReason.FENCED)  # no grace: SIGKILL at once
    run.outcome()

    left = living(marker)
    for process in left:
        process.kill()
    assert bool(left) == is_mutant


def ring_then_commit(self: celery_tasks.Ringer, *, now: datetime) -> bool:
    with transaction.atomic():
        return _ring(self, now=now)


_ring = celery_tasks.Ringer.ring


@mutants
def test_a_ring_before_its_commit_is_heard_too_early(
    committed_db: None, monkeypatch: pytest.MonkeyPatch, *, is_mutant: bool
) -> None:
    """X-4: whoever hears the bell must find the row that it is about."""
    now = clock.now()
    task = make_task(ready_at=now)
    worker = Worker.objects.create(
        name="w1", host="h", pid=1, pool="threads", slots=1, started_at=now, beat_at=now
    )
    worker.groups.set([task.worker_group])
    found: list[bool] = []

    def hear(bell: dispatcher.Bell) -> None:
        """Look for the stamp on a connection of one's own, as a worker does."""

        def look() -> None:
            found.append(Task.objects.filter(pk=bell.task_id, rung_at__isnull=False).exists())
            connection.close()

        thread = threading.Thread(target=look)
        thread.start()
        thread.join()

    monkeypatch.setattr(celery_tasks, "publish", hear)
    if is_mutant:
        monkeypatch.setattr(celery_tasks.Ringer, "ring", ring_then_commit)

    celery_tasks.Ringer().ring(now=now)

    assert found == [not is_mutant]


@pytest.mark.xdist_group("processes")
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    "settings", ["sentinel_project.settings", "tests.flow.late_acks"], ids=["product", "mutant"]
)
def test_a_late_acknowledgement_leaves_a_message_with_a_running_worker(
    tmp_path: Path, settings: str
) -> None:
    """X-5: a message must not come back because its worker died; the lease tells, and alone."""
    started, may_end = tmp_path / "started", tmp_path / "may_end"
    place = Installation(tmp_path / "run", DJANGO_SETTINGS_MODULE=settings)
    with place.running():
        job_id = place.submit(f"touch {started}; until [ -e {may_end} ]; do sleep 0.1; done")
        assert eventually(started.exists, within=60)

        is_free = eventually(lambda: unacknowledged(place) == 0, within=20)

        may_end.touch()
        assert place.ends(job_id, SUCCESS)
    assert is_free == (settings == "sentinel_project.settings")


def unacknowledged(place: Installation) -> int:
    """Return how many messages of an installation's own broker are with a worker."""
    url = env.broker("", place.run_dir)
    options = broker.transport_options(url, "sentinel")
    with Connection(url, transport_options=options) as link:
        return int(link.channel().client.hlen(options["unacked_key"]))  # type: ignore[attr-defined]
