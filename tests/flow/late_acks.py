"""A mutant of the Celery app: it acknowledges a message only after the run (``-A`` takes it)."""

from __future__ import annotations

from sentinel_project.celery import app

app.conf.task_acks_late = True
