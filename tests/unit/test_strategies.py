"""Strategies: which of the expected runs must be done (D-34)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.rules.enums import CommonStrategy
from jobs.rules.strategies import is_satisfied

ALL, LASTONE, ANYONE = CommonStrategy
START = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    """An expected run, as far as a strategy cares."""

    due_at: datetime
    is_done: bool


def runs(*done: bool) -> list[Run]:
    """Return runs of successive hours."""
    return [Run(START + timedelta(hours=hour), is_done) for hour, is_done in enumerate(done)]


@pytest.mark.parametrize("strategy", list(CommonStrategy))
def test_an_empty_window_satisfies_nothing(strategy: CommonStrategy) -> None:
    assert not is_satisfied(strategy, [])


@pytest.mark.parametrize(
    ("strategy", "done", "goes"),
    [
        pytest.param(ALL, (True, True, True), True, id="all: all done"),
        pytest.param(ALL, (True, False, True), False, id="all: one is missing"),
        pytest.param(LASTONE, (False, False, True), True, id="lastone: the latest is done"),
        pytest.param(LASTONE, (True, True, False), False, id="lastone: only earlier ones are"),
        pytest.param(ANYONE, (False, True, False), True, id="anyone: one is enough"),
        pytest.param(ANYONE, (False, False, False), False, id="anyone: none is not"),
    ],
)
def test_each_strategy_asks_for_its_runs(
    strategy: CommonStrategy, done: tuple[bool, ...], goes: bool
) -> None:
    assert is_satisfied(strategy, runs(*done)) is goes


def test_the_latest_is_by_due_time_and_not_by_place() -> None:
    assert is_satisfied(LASTONE, [*reversed(runs(False, True))])
    assert not is_satisfied(LASTONE, [*reversed(runs(True, False))])


@given(done=st.lists(st.booleans(), min_size=1, max_size=12), more=st.integers(0, 11))
def test_one_more_done_run_never_takes_a_release_back(done: list[bool], more: int) -> None:
    better = list(done)
    better[more % len(done)] = True

    for strategy in CommonStrategy:
        assert is_satisfied(strategy, runs(*better)) >= is_satisfied(strategy, runs(*done))


@given(done=st.lists(st.booleans(), min_size=1, max_size=12))
def test_all_asks_for_more_than_lastone_and_that_for_more_than_anyone(done: list[bool]) -> None:
    answers = [is_satisfied(strategy, runs(*done)) for strategy in (ALL, LASTONE, ANYONE)]

    assert answers == sorted(answers)
