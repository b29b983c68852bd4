"""Celery alone, for comparison: a task that does nothing, and one that notes the instant."""

from __future__ import annotations

import os
from pathlib import Path

from celery import Celery
from kombu import Exchange, Queue

from sentinel_project import clock

app = Celery("bare")
_QUEUE = os.environ.get("BENCH_BARE_QUEUE", "bare")


def queue(name: str) -> Queue:
    return Queue(name, Exchange(name, type="direct"), name)


app.conf.update(
    broker_url=os.environ.get("BENCH_BARE_BROKER"),
    broker_connection_retry_on_startup=True,
    control_exchange=f"{_QUEUE}.control",
    event_exchange=f"{_QUEUE}.events",
    task_default_queue=_QUEUE,
    task_ignore_result=True,
    task_queues=[queue(_QUEUE)],
    worker_prefetch_multiplier=1,
)


@app.task(name="bare.nothing")
def nothing() -> None:
    """Do nothing."""


@app.task(name="bare.note")
def note(path: str) -> None:
    """Write the instant into a new file."""
    fresh = Path(f"{path}.{os.getpid()}")
    fresh.write_text(clock.now().isoformat())
    fresh.replace(path)
