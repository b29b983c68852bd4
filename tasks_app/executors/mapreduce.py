"""jobType ``mapreduce``: the content is the id of an artifact, a jar handed to ``yarn jar``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jobs.rules.enums import ContentType
from tasks_app.executors import java, params, spark
from tasks_app.executors.base import Execution, Outcome, Output, Stop
from tasks_app.executors.cluster import client_environment, steering_problem
from tasks_app.executors.commandline import CommandLine
from tasks_app.executors.jobtype import JobType, Others
from tasks_app.executors.workspace import hand_secrets, workspace
from tasks_app.executors.yarn import run_client

COMMAND = CommandLine("SENTINEL_MAPREDUCE_COMMAND", "yarn jar", ("content", "options", "args"))
_SETTING = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,255}", re.ASCII)
_QUEUE = "mapreduce.job.queuename"
PARAMS = {
    "mainClass": java.PARAMS["mainClass"],
    "args": java.PARAMS["args"],
    "conf": params.settings(_SETTING, "an object of settings such as mapreduce.job.reduces"),
    "queue": spark.PARAMS["queue"],
    "libjars": params.artifacts(),
    "secrets": params.secrets(),
}


def together(extra: Mapping[str, Any]) -> str | None:
    if "queue" in extra and _QUEUE in extra.get("conf", {}):
        return f"params.conf: {_QUEUE} is said by params.queue"
    return steering_problem({name: extra[name] for name in extra if name not in PARAMS})


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Run the jar's own main class or ``mainClass``, and stay until it is over."""
    with workspace(execution) as home:
        content = str(execution.artifacts[execution.content])
        options, args = _options(execution), execution.extra.get("args", ())
        argv = COMMAND.words(content=[content], options=options, args=args)
        env = client_environment(execution, home, own=PARAMS) | hand_secrets(execution, home)
        return run_client(execution, argv, output, stop, env=env, cwd=home)


def _options(execution: Execution) -> list[str]:
    """Return the class, then the options that Hadoop's ``ToolRunner`` takes before arguments."""
    extra = execution.extra
    words = [extra["mainClass"]] if "mainClass" in extra else []
    queue = {_QUEUE: extra["queue"]} if "queue" in extra else {}
    for name, value in (queue | extra.get("conf", {})).items():
        words += ["-D", f"{name}={params.spelled(value)}"]
    if extra.get("libjars"):
        files = (str(execution.artifacts[str(each)]) for each in extra["libjars"])
        words += ["-libjars", ",".join(files)]
    return words


TYPE = JobType(
    execute=execute,
    params=PARAMS,
    others=Others.VARIABLES,
    # The published default of contentType is 1, and the content can be nothing else.
    content_types=frozenset({ContentType.TEXT, ContentType.JAR}),
    runs_artifact=True,
    is_client=lambda _: True,
    together=together,
    lack=COMMAND.lack,
)
