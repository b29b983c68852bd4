"""A kept value is made once for all who ask, and nobody waits for the next one."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from sentinel_project.kept import Kept


def test_a_value_is_made_once_while_it_is_fresh() -> None:
    numbers = count()
    kept = Kept(lambda: next(numbers), seconds=3600)

    assert [kept.value(), kept.value()] == [0, 0]
    kept.forget()
    assert kept.value() == 1


def test_an_old_value_is_made_anew() -> None:
    numbers = count()
    kept = Kept(lambda: next(numbers), seconds=0)

    assert [kept.value(), kept.value()] == [0, 1]


def test_who_asks_while_it_is_made_anew_gets_the_old_one() -> None:
    is_being_made, may_end = threading.Event(), threading.Event()
    numbers = count()

    def make() -> int:
        number = next(numbers)
        if number:
            is_being_made.set()
            assert may_end.wait(10)
        return number

    kept = Kept(make, seconds=0)
    assert kept.value() == 0
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(kept.value)
        assert is_being_made.wait(10)
        assert kept.value() == 0
        may_end.set()
        assert made.result(10) == 1


def test_all_who_ask_first_wait_for_one_making() -> None:
    numbers = count()
    barrier = threading.Barrier(4)
    kept = Kept(lambda: next(numbers), seconds=3600)

    def ask() -> int:
        barrier.wait(10)
        return kept.value()

    with ThreadPoolExecutor(4) as pool:
        asked = [pool.submit(ask) for _ in range(4)]
        assert [each.result(10) for each in asked] == [0, 0, 0, 0]


def test_a_failure_is_not_kept() -> None:
    answers: dict[str, int] = {}
    kept = Kept(lambda: answers["x"], seconds=3600)

    with pytest.raises(KeyError):
        kept.value()
    answers["x"] = 7
    assert kept.value() == 7
