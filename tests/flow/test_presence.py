"""A worker that lives is heard of, whatever goes wrong in one of its beats (D-81)."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import Settings

from tasks_app import reports, workers
from tasks_app.celery_worker import Presence
from tasks_app.models import Worker
from tasks_app.rules.states import AttemptStatus
from tasks_app.transitions import Ending
from tests.builders import make_attempt
from tests.flow.executions import eventually
from tests.flow.test_processes_registry import registration

pytestmark = pytest.mark.usefixtures("committed_db")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "BEAT_EVERY", timedelta(seconds=0.05))


@contextmanager
def present(said: workers.Registration) -> Iterator[None]:
    """Have a worker be there, as the thread that its Celery process starts keeps it."""
    presence = Presence(SimpleNamespace(pool=None))
    thread = threading.Thread(target=presence._stay, args=(said,))
    thread.start()
    try:
        yield
    finally:
        presence._leaving.set()
        thread.join()


def beats(times: int = 3) -> bool:
    """Tell whether the worker is heard of again and again."""
    seen: set[Any] = set()

    def is_heard() -> bool:
        seen.update(Worker.objects.values_list("beat_at", flat=True))
        return len(seen) >= times

    return eventually(is_heard)


def test_an_end_that_cannot_be_read_costs_no_beat_and_no_other_end(
    settings: Settings, tmp_path: Path
) -> None:
    settings.SENTINEL_WORK_DIR = tmp_path
    (tmp_path / "ended" / "0.json").mkdir(parents=True)
    attempt = make_attempt()
    ahead = reports.write_ahead(tmp_path, attempt, Ending(status=AttemptStatus.SUCCESS))
    assert ahead is not None
    ahead.close()

    with present(registration()):
        assert beats()

    attempt.refresh_from_db()
    assert attempt.status == AttemptStatus.SUCCESS


def test_a_beat_that_breaks_is_not_the_last(settings: Settings) -> None:
    settings.SENTINEL_WORK_DIR = None

    with present(registration()):
        assert beats()

    assert Worker.objects.get().stopped_at is not None


def test_what_the_database_refuses_today_it_may_take_tomorrow(
    caplog: pytest.LogCaptureFixture,
) -> None:
    lacks: dict[str, Any] = {"shell": object()}

    with present(replace(registration(), job_types=lacks)):
        assert eventually(lambda: [r.msg for r in caplog.records].count("worker.beat_failed") > 1)
        lacks["shell"] = ""
        assert eventually(Worker.objects.exists)
