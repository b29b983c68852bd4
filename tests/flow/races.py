"""What the tests of races share: jobs that are due at one in the morning."""

from __future__ import annotations

import itertools
from typing import Any

from jobs.models import App, Job
from tests.engine import at, cron, submit

ROUNDS = 12
START, DUE = at("2 00:00"), at("2 01:00")

_numbers = itertools.count()


def a_name() -> str:
    """Return a name that nothing has yet: what one round commits is there in the next."""
    return f"racer-{next(_numbers)}"


def scheduled(app: App, **words: Any) -> Job:
    """Submit a job that is due at 01:00."""
    words.setdefault("schedule", (cron("0 0 1 * * ?"),))
    return submit(app, a_name(), now=START, **words)
