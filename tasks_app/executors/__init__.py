"""Which function runs which jobType. An entry point of group ``sentinel.executors`` adds one."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import entry_points
from types import MappingProxyType

from sentinel_project.errors import InvalidParameters
from tasks_app.executors import dummy, shell
from tasks_app.executors.base import Executor

logger = logging.getLogger(__name__)

GROUP = "sentinel.executors"
_OURS: Mapping[str, Executor] = {"dummy": dummy.execute, "shell": shell.execute}


def _installed() -> dict[str, Executor]:
    """Load the executors of other packages. A broken one is reported and costs only itself."""
    found: dict[str, Executor] = {}
    for point in entry_points(group=GROUP):
        try:
            found[point.name] = point.load()
        except Exception:
            logger.exception("executor.broken", extra={"executor": point.name})
    return found


# Ours come last: a package may add a jobType, not replace one.
EXECUTORS: Mapping[str, Executor] = MappingProxyType({**_installed(), **_OURS})


def executor_for(job_type: str) -> Executor:
    """Return the function that runs ``job_type``; an unknown one is refused."""
    try:
        return EXECUTORS[job_type]
    except KeyError:
        known = ", ".join(job_types())
        raise InvalidParameters(f"unknown jobType {job_type!r}; known: {known}") from None


def job_types() -> tuple[str, ...]:
    """Return every jobType that can run here, in alphabetical order."""
    return tuple(sorted(EXECUTORS))
