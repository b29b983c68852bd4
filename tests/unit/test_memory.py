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


def test_what_is_there_is_looked_at_no_more_and_what_comes_is() -> None:
    memory.settle()

    kept = gc.get_freeze_count()
    ring: list[object] = []
    ring.append(ring)
    del ring
    assert gc.collect() > 0
    assert gc.get_freeze_count() == kept > 10_000


def test_a_worker_settles_before_its_pool_forks() -> None:
    before = gc.get_freeze_count()

    worker_init.send(sender=celery_worker)

    assert gc.get_freeze_count() > before
