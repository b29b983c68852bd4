"""The Celery app, named by ``celery -A sentinel_project.celery``: the errand boy (X-5)."""

from __future__ import annotations

import os

from celery import Celery
from celery.signals import setup_logging
from django.conf import settings
from kombu import Exchange, Queue

from sentinel_project import broker, redis_bells

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "sentinel_project.settings")

redis_bells.install()
app = Celery("sentinel")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(related_name="celery_tasks")
app.autodiscover_tasks(related_name="celery_worker")


@setup_logging.connect
def keep_logging(**_: object) -> None:
    """Tell Celery that logging is set up: Django did it, and every line is JSON."""


def queue_for(group_id: int) -> Queue:
    """Return the queue of a worker group.

    Publishers hand over the queue itself: a name would be added to the queues that a worker which
    publishes consumes from after its next reconnect.
    """
    name = broker.queue_name(settings.BROKER_PREFIX, group_id)
    return Queue(name, Exchange(name, type="direct"), name, max_priority=broker.MAX_PRIORITY)
