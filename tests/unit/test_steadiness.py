"""A wall clock that jumps ahead is held until it is believed again (X-9)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tasks_app.rules.steadiness import PROVES_ITSELF_AFTER, Steadiness

START = datetime(2026, 3, 2, 8, tzinfo=UTC)


@pytest.fixture
def watch() -> Steadiness:
    return Steadiness(START, 0.0)


def at(seconds: float, ahead: timedelta = timedelta(0)) -> tuple[datetime, float]:
    """Return wall and monotonic clock after ``seconds``, the wall one running ``ahead``."""
    return START + timedelta(seconds=seconds) + ahead, seconds


def test_a_clock_that_keeps_its_course_is_steady(watch: Steadiness) -> None:
    assert all(watch.is_steady(*at(second)) for second in range(0, 100_000, 1000))


def test_a_small_step_is_believed(watch: Steadiness) -> None:
    assert watch.is_steady(*at(10, timedelta(seconds=59)))


def test_a_jump_ahead_is_held(watch: Steadiness) -> None:
    assert not watch.is_steady(*at(10, timedelta(hours=1)))
    assert not watch.is_steady(*at(60, timedelta(hours=1)))


def test_a_jump_that_another_clock_confirms_is_believed(watch: Steadiness) -> None:
    assert not watch.is_steady(*at(10, timedelta(hours=1)))
    assert watch.is_steady(*at(10, timedelta(hours=1)), is_confirmed=True)
    assert watch.is_steady(*at(11, timedelta(hours=1)))


def test_a_jump_that_lasts_proves_itself(watch: Steadiness) -> None:
    assert not watch.is_steady(*at(10, timedelta(hours=1)))
    assert watch.is_steady(*at(10 + PROVES_ITSELF_AFTER.total_seconds(), timedelta(hours=1)))
    assert watch.is_steady(*at(200, timedelta(hours=1)))


def test_a_jump_that_is_taken_back_leaves_no_doubt(watch: Steadiness) -> None:
    assert not watch.is_steady(*at(10, timedelta(hours=1)))
    assert watch.is_steady(*at(11))
    assert not watch.is_steady(*at(12, timedelta(hours=1)))


def test_a_step_back_is_harmless(watch: Steadiness) -> None:
    assert watch.is_steady(*at(10, -timedelta(days=1)))
    assert watch.is_steady(*at(20, -timedelta(days=1)))
