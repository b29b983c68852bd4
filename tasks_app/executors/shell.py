"""jobType ``shell``: the content is a bash script."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from typing import Any

from tasks_app.executors import params
from tasks_app.executors.base import Execution, Outcome, Output, Stop
from tasks_app.executors.environment import environment
from tasks_app.executors.jobtype import JobType, Others
from tasks_app.executors.process import run_command
from tasks_app.executors.workspace import hand_secrets, workspace, write_private
from tasks_app.executors.yarn import run_client

PARAMS = {"secrets": params.secrets(), "yarn": params.flag()}


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Run the content with plain ``bash FILE``; its exit code decides (X-20).

    Content never meets a command line, only its file's name does. With ``yarn``, applications
    that it starts on the cluster end with it.
    """
    with workspace(execution) as home:
        script = home / "content.sh"
        write_private(script, execution.content)
        env = environment(execution, home, own=PARAMS) | hand_secrets(execution, home)
        run = run_client if is_client(execution.extra) else run_command
        return run(execution, ["bash", str(script)], output, stop, env=env, cwd=home)


def is_client(extra: Mapping[str, Any]) -> bool:
    return extra.get("yarn") is True


def lack() -> str | None:
    return None if shutil.which("bash") else "bash is not on its PATH"


TYPE = JobType(
    execute=execute,
    params=PARAMS,
    others=Others.VARIABLES,
    is_shell=True,
    is_client=is_client,
    lack=lack,
)
