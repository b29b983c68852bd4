"""A worker that is told to stop gives its runs back, on both pools (3-execution.md 4, ADR 0013)."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import psutil
import pytest

from tests.flow.executions import eventually, living, new_marker
from tests.flow.processes import SUCCESS, Installation

pytestmark = [pytest.mark.xdist_group("processes"), pytest.mark.timeout(300)]


@pytest.fixture(scope="module", params=["prefork", "threads"])
def sentinel(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    run_dir = tmp_path_factory.mktemp("shutdown") / "run"
    installation = Installation(run_dir, SENTINEL_WORKER_POOL=request.param)
    with installation.running():
        yield installation


def running(sentinel: Installation, content: str, **words: Any) -> tuple[int, psutil.Process]:
    """Submit a job and wait until it runs; return it, and the worker."""
    job_id = sentinel.submit(content, **words)
    assert eventually(lambda: bool(attempts(sentinel, job_id)))
    return job_id, sentinel.part("worker")


def attempts(sentinel: Installation, job_id: int) -> list[dict[str, Any]]:
    tasks = sentinel.tasks(job_id)
    if not tasks:
        return []
    reply = sentinel.call("/api/task/query", taskId=tasks[0]["taskId"])
    return [attempt for attempt in reply["attempts"] if attempt["startTime"]]


def test_a_draining_worker_lets_a_short_run_end(sentinel: Installation) -> None:
    job_id, worker = running(sentinel, "sleep 1.5")

    worker.send_signal(signal.SIGTERM)

    assert sentinel.ends(job_id, SUCCESS, within=60)
    assert len(attempts(sentinel, job_id)) == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGQUIT])
def test_a_run_that_outlasts_the_drain_is_handed_back_and_runs_elsewhere(
    sentinel: Installation, number: signal.Signals
) -> None:
    """``failedAttempts`` is 0: a hand-back costs no try. Its first run would never end."""
    first = new_marker()
    content = f'[ "$SENTINEL_ATTEMPT_ID" = 1 ] && exec sleep {first}; echo again'
    job_id, worker = running(sentinel, content)
    assert eventually(lambda: len(living(first)) == 1)

    worker.send_signal(number)

    assert eventually(lambda: not worker.is_running() or living(first) == [])
    assert sentinel.ends(job_id, SUCCESS, within=60)
    assert living(first) == []


def test_a_second_signal_ends_the_worker_and_all_that_it_runs(sentinel: Installation) -> None:
    marker = new_marker()
    job_id, worker = running(sentinel, f"trap '' TERM; setsid sleep {marker} & sleep {marker}")
    assert eventually(lambda: len(living(marker)) == 2)

    def is_gone_when_told_again() -> bool:
        with suppress(psutil.NoSuchProcess):
            worker.send_signal(signal.SIGTERM)  # two of a kind that are pending count as one
        return living(marker) == []

    assert eventually(is_gone_when_told_again)
    (attempt,) = attempts(sentinel, job_id)
    assert not attempt["endTime"]
