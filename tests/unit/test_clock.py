"""What ``now`` is once a process has agreed on a time with others."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sentinel_project import clock

HOUR = timedelta(hours=1)
MOMENT = timedelta(seconds=5)


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "_agreed", None)


def test_a_process_alone_goes_by_its_wall_clock() -> None:
    assert abs(clock.now() - clock.wall()) < MOMENT
    assert clock.agreed_for() is None


def test_what_was_agreed_on_goes_on_whatever_the_wall_clock_reads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    theirs, at = clock.wall() + HOUR, clock.since_boot()

    clock.agree(theirs, at=at - 60)
    monkeypatch.setattr(clock, "wall", lambda: theirs - timedelta(days=900))

    assert abs(clock.now() - (theirs + timedelta(seconds=60))) < MOMENT
    agreed_for = clock.agreed_for()
    assert agreed_for is not None
    assert 60 <= agreed_for < 65


@pytest.mark.parametrize(
    ("later", "is_taken"),
    [
        pytest.param(timedelta(milliseconds=40), False, id="what a round trip may make"),
        pytest.param(timedelta(milliseconds=-40), False, id="the same backwards"),
        pytest.param(timedelta(milliseconds=80), True, id="a clock that was put right"),
        pytest.param(-HOUR, True, id="an hour back"),
    ],
)
def test_a_difference_that_a_round_trip_makes_is_none(*, later: timedelta, is_taken: bool) -> None:
    theirs, at = clock.wall(), clock.since_boot()
    clock.agree(theirs, at=at)
    before = clock._agreed

    clock.agree(theirs + later, at=at)

    assert before is not None
    assert clock._agreed is not None
    assert clock._agreed[0] == (before[0] - later if is_taken else before[0])


def test_a_slow_answer_explains_more() -> None:
    theirs, at = clock.wall(), clock.since_boot()
    clock.agree(theirs, at=at)
    before = clock._agreed

    clock.agree(theirs + timedelta(milliseconds=400), at=at, within=0.45)
    slow = clock._agreed
    clock.agree(theirs + timedelta(milliseconds=400), at=at, within=0.01)

    assert slow == before
    assert clock._agreed != before
