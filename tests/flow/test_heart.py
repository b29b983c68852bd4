"""A connection that rests while content runs: kept over a short run, closed over a long one."""

from __future__ import annotations

import threading

import pytest
from django.db import connection

from jobs.models import App
from tasks_app import heart

pytestmark = [pytest.mark.postgres, pytest.mark.usefixtures("postgres")]


def look_from_another_thread(resting: heart.Resting) -> None:
    thread = threading.Thread(target=resting.close_if_long)
    thread.start()
    thread.join()


def test_over_a_short_run_the_connection_is_kept() -> None:
    App.objects.exists()
    session = connection.connection
    resting = heart.Resting()
    with resting:
        look_from_another_thread(resting)

    assert connection.connection is session


def test_over_a_long_run_the_connection_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    App.objects.exists()
    session = connection.connection
    monkeypatch.setattr(heart, "_CONNECTION_RESTS_FOR", -1.0)
    resting = heart.Resting()
    with resting:
        look_from_another_thread(resting)

    assert session.closed
    assert App.objects.exists() in {True, False}
    assert connection.connection is not session


def test_a_connection_that_is_in_use_again_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    App.objects.exists()
    session = connection.connection
    monkeypatch.setattr(heart, "_CONNECTION_RESTS_FOR", -1.0)
    resting = heart.Resting()
    with resting:
        pass
    look_from_another_thread(resting)

    assert connection.connection is session
    assert not session.closed
