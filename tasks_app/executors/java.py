"""jobType ``java``: the content is the id of an artifact, a jar that a Java machine runs."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jobs.rules.enums import ContentType
from tasks_app.executors import params
from tasks_app.executors.base import Execution, Outcome, Output, Stop
from tasks_app.executors.environment import environment
from tasks_app.executors.jobtype import JobType, Others
from tasks_app.executors.process import run_command
from tasks_app.executors.workspace import hand_secrets, workspace

JAVA = "SENTINEL_JAVA"
_CLASS = re.compile(r"[A-Za-z_$][A-Za-z0-9_$.]{0,255}", re.ASCII)


def _is_class(value: object) -> bool:
    return isinstance(value, str) and _CLASS.fullmatch(value) is not None


def _are_options(value: object) -> bool:
    """What does not begin with a dash would be taken for the class to run."""
    texts = params.texts()
    return texts.is_right(value) and all(each.startswith("-") for each in params.listed(value))


PARAMS = {
    "mainClass": params.Param("the name of a class such as com.example.Main", _is_class),
    "args": params.texts("a list of texts, the program's arguments"),
    "classpath": params.artifacts(),
    "jvmOptions": params.Param("a list of options such as -Xmx512m", _are_options),
    "secrets": params.secrets(),
}


def together(extra: Mapping[str, Any]) -> str | None:
    """``java -jar`` ignores a class path, so the class must be named with one."""
    if extra.get("classpath") and "mainClass" not in extra:
        return "params.mainClass: it is missing; a job with a classpath must name it"
    return None


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Run the jar's own main class, or ``mainClass`` with the artifacts of ``classpath``."""
    with workspace(execution) as home:
        argv = [_java(), *_own_options(home), *execution.extra.get("jvmOptions", ())]
        argv += _what(execution)
        argv += execution.extra.get("args", ())
        env = environment(execution, home, own=PARAMS) | hand_secrets(execution, home)
        return run_command(execution, argv, output, stop, env=env, cwd=home)


def _what(execution: Execution) -> list[str]:
    jar = str(execution.artifacts[execution.content])
    if "mainClass" not in execution.extra:
        return ["-jar", jar]
    others = (str(execution.artifacts[str(each)]) for each in execution.extra.get("classpath", ()))
    return ["-cp", os.pathsep.join([jar, *others]), execution.extra["mainClass"]]


def _own_options(home: Path) -> list[str]:
    """Keep temporary files in the run's directory, and none of the machine's own in /tmp."""
    return [f"-Djava.io.tmpdir={home}", "-XX:-UsePerfData"]


def _java() -> str:
    return os.environ.get(JAVA) or "java"


def lack() -> str | None:
    return None if shutil.which(_java()) else f"there is no Java at {_java()}, see {JAVA}"


TYPE = JobType(
    execute=execute,
    params=PARAMS,
    others=Others.VARIABLES,
    # The published default of contentType is 1, and the content can be nothing else.
    content_types=frozenset({ContentType.TEXT, ContentType.JAR}),
    runs_artifact=True,
    together=together,
    lack=lack,
)
