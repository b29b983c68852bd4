"""Settings of a mutant: a message is acknowledged only after the run that it is about."""

from __future__ import annotations

from sentinel_project.settings import *  # noqa: F403

CELERY_TASK_ACKS_LATE = True
