"""Which jobTypes there are. An entry point of group ``sentinel.executors`` adds one.

It names a ``JobType``, or just an executor: a function, whose parameters are its own business.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType

from sentinel_project.errors import InvalidParameters
from tasks_app.executors import (
    dummy,
    hive,
    http,
    java,
    mapreduce,
    presto,
    python,
    shell,
    spark,
    sql,
)
from tasks_app.executors.base import Executor
from tasks_app.executors.jobtype import JobType, Others

logger = logging.getLogger(__name__)

GROUP = "sentinel.executors"
_MAX_NAME = 32
_OURS: Mapping[str, JobType] = {
    "dummy": dummy.TYPE,
    "hive": hive.TYPE,
    "http": http.TYPE,
    "java": java.TYPE,
    "mapreduce": mapreduce.TYPE,
    "presto": presto.TYPE,
    "python": python.TYPE,
    "shell": shell.TYPE,
    "spark": spark.TYPE,
    "sql": sql.TYPE,
    "trino": presto.TYPE,
}


def _installed() -> dict[str, JobType]:
    """Load the types of other packages. A broken one is reported and costs only itself."""
    found: dict[str, JobType] = {}
    for point in entry_points(group=GROUP):
        try:
            found[point.name] = _loaded(point)
        except Exception:
            logger.exception("executor.broken", extra={"executor": point.name})
    return found


def _loaded(point: EntryPoint) -> JobType:
    if not 0 < len(point.name) <= _MAX_NAME:
        raise ValueError(f"the name of a jobType has 1 to {_MAX_NAME} characters")
    offered = point.load()
    if isinstance(offered, JobType):
        return offered
    if not callable(offered):
        raise TypeError(f"{point.value} is neither a JobType nor a function")
    return JobType(execute=offered, others=Others.FREE)


# Ours come last: a package may add a jobType, not replace one.
JOB_TYPES: Mapping[str, JobType] = MappingProxyType({**_installed(), **_OURS})


def job_type_of(name: str) -> JobType:
    """Return what stands behind a jobType; an unknown one is refused."""
    try:
        return JOB_TYPES[name]
    except KeyError:
        known = ", ".join(job_types())
        raise InvalidParameters(f"unknown jobType {name!r}; known: {known}") from None


def executor_for(job_type: str) -> Executor:
    """Return the function that runs ``job_type``; an unknown one is refused."""
    return job_type_of(job_type).run


def job_types() -> tuple[str, ...]:
    """Return every jobType there is, in alphabetical order."""
    return tuple(sorted(JOB_TYPES))


def lacks() -> dict[str, str]:
    """Return for each jobType why this machine cannot run it; empty: it can."""
    return {name: JOB_TYPES[name].lack() or "" for name in job_types()}


def starts_at_once(job_type: str) -> bool:
    """Tell whether the worker itself runs ``job_type``: there is no process to be started first."""
    return job_type in JOB_TYPES and JOB_TYPES[job_type].is_in_process
