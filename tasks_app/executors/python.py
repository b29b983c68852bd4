"""jobType ``python``: the content is a Python program, run by an interpreter of the worker's."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping

from tasks_app.executors import params
from tasks_app.executors.base import Execution, Outcome, Output, Stop, failed, note
from tasks_app.executors.environment import environment
from tasks_app.executors.jobtype import JobType, Others
from tasks_app.executors.process import run_command
from tasks_app.executors.workspace import hand_secrets, workspace, write_private

INTERPRETERS = "SENTINEL_PYTHONS"
DEFAULT = "default"
PARAMS = {
    "interpreter": params.Param("the name of an interpreter of the worker", params.is_name),
    "args": params.texts("a list of texts, the program's arguments"),
    "secrets": params.secrets(),
}


def interpreters() -> Mapping[str, str]:
    """Return the interpreters of this machine by name: a venv's is its ``bin/python``.

    SENTINEL_PYTHONS lists them as ``name=path``; without a ``default`` it is python3 of the PATH.
    """
    pairs = (each.partition("=") for each in os.environ.get(INTERPRETERS, "").split(","))
    return {DEFAULT: "python3"} | {name.strip(): path for name, _, path in pairs if path}


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Run the content as a file, unbuffered, so that what it prints is seen at once (X-32)."""
    known = interpreters()
    name = execution.extra.get("interpreter", DEFAULT)
    if name not in known:
        problem = f"params.interpreter: this worker has {', '.join(sorted(known))}, not {name}"
        note(output, problem)
        return failed("BAD_PARAMS", problem, is_final=True)
    with workspace(execution) as home:
        program = home / "content.py"
        write_private(program, execution.content)
        argv = [known[name], "-u", str(program), *execution.extra.get("args", ())]
        env = environment(execution, home, own=PARAMS) | hand_secrets(execution, home)
        return run_command(execution, argv, output, stop, env=env, cwd=home)


def lack() -> str | None:
    """Tell whether the interpreter of a job that names none is there."""
    path = interpreters()[DEFAULT]
    return None if shutil.which(path) else f"there is no Python at {path}, see {INTERPRETERS}"


TYPE = JobType(execute=execute, params=PARAMS, others=Others.VARIABLES, lack=lack)
