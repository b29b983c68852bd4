"""What clients of a cluster find around them: the worker's own configuration, and no job's."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from tasks_app.executors.base import Execution
from tasks_app.executors.environment import environment

_CLUSTER = re.compile(
    r"(?:HADOOP|HDFS|HIVE|MAPRED|PYSPARK|SPARK|TEZ|YARN)_.*|JAVA_HOME|KRB5CCNAME|KRB5_CONFIG"
)
# Java machines of several runs may have the same process id, each in its own namespace, and so the
# same file in /tmp for performance data, of which the second would complain in RESULT.
_JAVA_OPTION = "-XX:-UsePerfData"
_JAVA_OPTIONS = ("HADOOP_CLIENT_OPTS", "SPARK_LAUNCHER_OPTS", "SPARK_SUBMIT_OPTS")


def client_environment(
    execution: Execution, home: Path, *, own: Collection[str] = ()
) -> dict[str, str]:
    """Return a run's environment, with what clients of the cluster need of the worker's."""
    cluster = {name: value for name, value in os.environ.items() if _CLUSTER.fullmatch(name)}
    options = {name: f"{cluster.get(name, '')} {_JAVA_OPTION}".strip() for name in _JAVA_OPTIONS}
    return environment(execution, home, own=own) | cluster | options


def steering_problem(extra: Mapping[str, Any]) -> str | None:
    """Return why a parameter may not become a variable beside a client, or None."""
    for name in extra:
        if _CLUSTER.fullmatch(name):
            return f"params.{name[:64]}: it would steer the client, so the worker's own holds"
    return None
