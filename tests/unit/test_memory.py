"""What is loaded for good is left out of collections."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from celery.signals import worker_init

from sentinel_project import memory
from tasks_app import celery_worker


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    yield
    gc.unfreeze()


def is_looked_at(thing: object) -> bool:
    """Tell whether a collection would look at ``thing``."""
    return any(each is thing for each in gc.get_objects())


def test_what_is_there_is_looked_at_no_more_and_what_comes_is() -> None:
    loaded: list[object] = [[]]
    before = is_looked_at(loaded)

    memory.settle()

    fresh: list[object] = [[]]
    assert (before, is_looked_at(loaded), is_looked_at(fresh)) == (True, False, True)


def test_a_worker_settles_before_its_pool_forks() -> None:
    loaded: list[object] = [[]]

    worker_init.send(sender=celery_worker)

    assert not is_looked_at(loaded)
