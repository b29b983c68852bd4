"""Hive by the worker's own client program, such as ``beeline``: content is a file it is given.

How it is called is the worker's set-up, so that no job decides what a machine starts. What the
program's LOG names of a YARN cluster ends with the run.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil

from tasks_app.executors.base import Execution, Outcome, Output, Stop
from tasks_app.executors.cluster import client_environment
from tasks_app.executors.queries import Misused
from tasks_app.executors.workspace import workspace, write_private
from tasks_app.executors.yarn import run_client

COMMAND = "SENTINEL_HIVE_COMMAND"
_SLOT = re.compile(r"\{(content|url)\}")
_PASSWORD = re.compile(r"[;?&]\s*(?:password|pwd)\s*=", re.IGNORECASE)


def execute(execution: Execution, output: Output, stop: Stop, *, url: str | None) -> Outcome:
    """Run the command of the execution's worker group; its exit code decides (X-20)."""
    words = _words(execution.worker_group_id)
    _check(words, url)
    with workspace(execution) as home:
        file = home / "content.sql"
        write_private(file, f"{execution.content}\n")  # beeline forgets a line that is not ended
        filled = {"content": str(file), "url": url or ""}
        argv = [_SLOT.sub(lambda slot: filled[slot[1]], word) for word in words]
        # Parameters are no variables here.
        env = client_environment(execution, home, own=execution.extra)
        return run_client(execution, argv, output, stop, env=env, cwd=home)


def _words(group_id: int) -> list[str]:
    """Return the command of a group: its own setting comes before the common one."""
    for name in (f"{COMMAND}_{group_id}", COMMAND):
        if text := os.environ.get(name, ""):
            try:
                return shlex.split(text)
            except ValueError as error:
                raise Misused("NO_CLIENT", f"{_LACKS} {name} cannot be read: {error}") from None
    text = f"the job names no connection, and {COMMAND} is not set"
    raise Misused("NO_CLIENT", f"{_LACKS} {text}")


_LACKS = "This worker cannot run the job:"


def _check(words: list[str], url: str | None) -> None:
    slots = set(_SLOT.findall(" ".join(words)))
    if "content" not in slots:
        text = f"{COMMAND} has no {{content}}, where the name of the file goes"
        raise Misused("NO_CLIENT", f"{_LACKS} {text}")
    if "url" in slots and url is None:
        text = f"params.connection: it is missing, and {COMMAND} of this worker has a {{url}}"
        raise Misused("BAD_PARAMS", text)
    if url is not None and "url" not in slots:
        text = f"{_LACKS} the connection is for a program, and {COMMAND} has no {{url}}"
        raise Misused("NO_CLIENT", text)
    if url is not None and _PASSWORD.search(url):
        text = "params.connection: its address holds a password, and every user of the machine"
        raise Misused("BAD_PARAMS", f"{text} could read it in a command line; see {COMMAND}")
    if shutil.which(words[0]) is None:
        raise Misused("NO_CLIENT", f"{_LACKS} there is no program {words[0]}, see {COMMAND}")


def lack() -> str | None:
    """Tell whether some group's command is set; whether it is right, its runs tell."""
    is_set = any(name == COMMAND or name.startswith(f"{COMMAND}_") for name in os.environ)
    return None if is_set else f"{COMMAND} is not set"
