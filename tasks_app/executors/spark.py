"""jobType ``spark``: an artifact or a Python program, handed to ``spark-submit``."""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from typing import Any

from jobs.rules.enums import ContentType
from tasks_app.executors import java, params
from tasks_app.executors.base import Execution, Outcome, Output, Stop, failed, note
from tasks_app.executors.cluster import client_environment, steering_problem
from tasks_app.executors.commandline import CommandLine
from tasks_app.executors.jobtype import JobType, Others
from tasks_app.executors.workspace import hand_secrets, workspace, write_private
from tasks_app.executors.yarn import run_client

COMMAND = CommandLine("SENTINEL_SPARK_COMMAND", "spark-submit", ("options", "content", "args"))
_MASTER = re.compile(
    r"yarn|local(\[(\*|[1-9][0-9]{0,3})\])?|spark://[A-Za-z0-9.:,\[\]_-]{1,500}", re.ASCII
)
_QUEUE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,255}", re.ASCII)
_MEMORY = re.compile(r"[1-9][0-9]{0,8}([kmgt]b?)?", re.ASCII | re.IGNORECASE)
_SETTING = re.compile(r"spark\.[A-Za-z0-9_.-]{1,250}", re.ASCII)
_TAGS = "spark.yarn.tags"
_OTHERWISE = {"spark.master": "master", "spark.submit.deployMode": "deployMode"}
_OPTIONS = {
    "master": "--master",
    "deployMode": "--deploy-mode",
    "mainClass": "--class",
    "name": "--name",
    "queue": "--queue",
    "driverMemory": "--driver-memory",
    "driverCores": "--driver-cores",
    "executorMemory": "--executor-memory",
    "executorCores": "--executor-cores",
    "numExecutors": "--num-executors",
}


def _memory() -> params.Param:
    return params.matching(_MEMORY, "an amount of memory such as 512m or 4g")


PARAMS = {
    "master": params.matching(_MASTER, "yarn, local, local[2], local[*] or spark://host:7077"),
    "deployMode": params.word("client", "cluster"),
    "mainClass": java.PARAMS["mainClass"],
    "name": params.text(high=256),
    "queue": params.matching(_QUEUE, "the name of a queue such as root.etl"),
    "args": params.texts("a list of texts, the program's arguments"),
    "conf": params.settings(_SETTING, "an object of settings such as spark.executor.instances"),
    "jars": params.artifacts(),
    "pyFiles": params.artifacts(),
    "driverMemory": _memory(),
    "driverCores": params.integer(1, 10_000),
    "executorMemory": _memory(),
    "executorCores": params.integer(1, 10_000),
    "numExecutors": params.integer(1, 1_000_000),
    "secrets": params.secrets(),
}


def together(extra: Mapping[str, Any]) -> str | None:
    """A driver on the cluster can be ended on YARN only; where it runs has its own parameters."""
    for name, better in _OTHERWISE.items():
        if name in extra.get("conf", {}):
            return f"params.conf: {name} is said by params.{better}"
    if extra.get("deployMode") == "cluster" and extra.get("master", "yarn") != "yarn":
        return "params.deployMode: cluster needs master yarn, since only there a kill reaches it"
    return steering_problem({name: extra[name] for name in extra if name not in PARAMS})


def _content_problem(text: str) -> str | None:
    if text.strip().isdecimal():
        return "a number is no program; an artifact's id needs contentType 3"
    return None


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Submit the artifact, or a file with the text, and stay until it is over."""
    is_artifact = execution.content_type is ContentType.JAR
    if not is_artifact and "mainClass" in execution.extra:
        problem = "params.mainClass: a Python program has none; a jar needs contentType 3"
        note(output, problem)
        return failed("BAD_PARAMS", problem, is_final=True)
    with workspace(execution) as home:
        content = home / "content.py"
        if is_artifact:
            content = execution.artifacts[execution.content]
        else:
            write_private(content, execution.content)
        tag = _tag(execution.extra)
        options, args = _options(execution, tag), execution.extra.get("args", ())
        argv = COMMAND.words(options=options, content=[str(content)], args=args)
        scratch = {"SPARK_LOCAL_DIRS": str(home)}
        env = scratch | client_environment(execution, home, own=PARAMS)
        env |= hand_secrets(execution, home)
        return run_client(execution, argv, output, stop, env=env, cwd=home, tag=tag)


def _tag(extra: Mapping[str, Any]) -> str:
    """Return a mark by which YARN knows the run: its LOG may be quiet. None off YARN."""
    return f"sentinel-{uuid.uuid4().hex}" if extra.get("master", "yarn") == "yarn" else ""


def _options(execution: Execution, tag: str) -> list[str]:
    extra = execution.extra
    name = f"sentinel-{execution.job_id}-{execution.task_id}-{execution.attempt_number}"
    told = {"name": name} | {key: extra[key] for key in _OPTIONS if key in extra}
    words = [word for key, value in told.items() for word in (_OPTIONS[key], str(value))]
    for key, option in (("jars", "--jars"), ("pyFiles", "--py-files")):
        if extra.get(key):
            words += [option, ",".join(str(execution.artifacts[str(each)]) for each in extra[key])]
    conf = dict(extra.get("conf", {}))
    if tag:
        conf[_TAGS] = f"{conf[_TAGS]},{tag}" if _TAGS in conf else tag
    for key, value in conf.items():
        words += ["--conf", f"{key}={params.spelled(value)}"]
    return words


TYPE = JobType(
    execute=execute,
    params=PARAMS,
    others=Others.VARIABLES,
    content_types=frozenset(ContentType),
    content_problem=_content_problem,
    is_client=lambda _: True,
    together=together,
    lack=COMMAND.lack,
)
