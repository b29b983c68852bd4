"""How long beat sleeps, and what it does only now and then."""

from __future__ import annotations

from datetime import timedelta

import pytest

from sentinel_project.beat import Pacer, sleep_until
from tests.builders import NOW


@pytest.mark.parametrize(
    ("after", "sleeps"),
    [
        pytest.param(timedelta(milliseconds=300), timedelta(milliseconds=300), id="until then"),
        pytest.param(timedelta(hours=1), timedelta(seconds=1), id="never longer than a second"),
        pytest.param(timedelta(0), timedelta(milliseconds=10), id="never without a pause"),
        pytest.param(timedelta(seconds=-5), timedelta(milliseconds=10), id="what is overdue"),
    ],
)
def test_beat_sleeps_until_the_next_instant(after: timedelta, sleeps: timedelta) -> None:
    assert sleep_until(NOW + after, NOW) == sleeps


def test_beat_looks_every_second_when_it_knows_of_nothing() -> None:
    assert sleep_until(None, NOW) == timedelta(seconds=1)


def test_what_was_just_done_is_not_done_again() -> None:
    pacer = Pacer()

    assert pacer.is_time("rescue", timedelta(hours=1))
    assert not pacer.is_time("rescue", timedelta(hours=1))
    assert pacer.is_time("beat", timedelta(hours=1))
    assert pacer.is_time("rescue", timedelta(0))
