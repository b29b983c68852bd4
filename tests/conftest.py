"""Fixtures and profiles that every test shares."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import pytest
from django.db import connection
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from pytest_django.live_server_helper import LiveServer

from tests.builders import NOW, make_app
from tests.caller import Caller


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say how much tests did that count: how many requests a fuzz sent, and how many were done."""
    totals: Counter[str] = Counter()
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            totals.update(dict(report.user_properties))
    for name, total in totals.items():
        terminalreporter.write_line(f"{name}: {total}")


# ci is the same every time, dev looks somewhere else with every run, thorough looks for long.
hypothesis_settings.register_profile(
    "dev", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.register_profile(
    "ci",
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
hypothesis_settings.register_profile(
    "thorough", max_examples=5_000, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))


@pytest.fixture
def now() -> datetime:
    """The instant that builders take for now: a Wednesday, 09:00 in Shanghai."""
    return NOW


@pytest.fixture
def committed_db(transactional_db: None, django_db_serialized_rollback: None) -> None:
    """A database where commits are real, for tests with threads or processes.

    Emptied afterwards; what the migrations put there is put back for the next such test.
    """


@pytest.fixture
def live_server(committed_db: None, live_server: LiveServer) -> Iterator[LiveServer]:
    """A web process, a thread of this one, whose requests are over before its database is emptied.

    A request goes on for a moment behind its answer, and asks the database then.
    """
    yield live_server
    for thread in threading.enumerate():
        if thread.name.endswith("(process_request_thread)"):
            thread.join(10)


@pytest.fixture
def spelled_statements(monkeypatch: pytest.MonkeyPatch) -> None:
    """Send each statement with its text, for tests that look at it: PostgreSQL keeps what is hot.

    That is by its name alone, as long as it is asked again within a moment (ADR 51).
    """
    monkeypatch.setitem(connection.settings_dict, "DISABLE_SERVER_SIDE_CURSORS", True)


@pytest.fixture
def caller(db: None) -> Caller:
    """A NORMAL app that calls with the published form."""
    return Caller(make_app(name="mine"))


@pytest.fixture
def admin_caller(db: None) -> Caller:
    """An ADMIN app that calls with the published form."""
    return Caller(make_app(name="chief", kind="ADMIN"))


@pytest.fixture
def other(db: None) -> Caller:
    """Another NORMAL app."""
    return Caller(make_app(name="other"))
