"""jobType ``shell``: text is the body of a bash script, a script is the path of one."""

from __future__ import annotations

from pathlib import Path

from jobs.rules.enums import ContentType
from tasks_app.executors.base import Execution, Outcome, Output, Stop, failed
from tasks_app.executors.environment import environment, refused_params
from tasks_app.executors.process import run_command
from tasks_app.executors.workspace import workspace, write_private


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Run the content with plain ``bash FILE``; its exit code decides (X-20)."""
    problems = refused_params(execution.extra)
    if problems:
        return failed("BAD_PARAMS", "; ".join(problems))
    problem = _content_problem(execution)
    if problem is not None:
        return failed("BAD_CONTENT", problem)
    with workspace(execution) as home:
        argv = ["bash", str(_script(execution, home))]
        return run_command(
            execution, argv, output, stop, env=environment(execution, home), cwd=home
        )


def _content_problem(execution: Execution) -> str | None:
    content = execution.content
    match execution.content_type:
        case ContentType.TEXT:
            is_text = content.encode(errors="replace").decode() == content
            return None if is_text else "The content is not valid text."
        case ContentType.SCRIPT:
            is_path = content.startswith("/") and "\0" not in content
            return None if is_path else "The content must be the absolute path of a script."
        case ContentType.JAR:
            return "A shell job cannot run a jar."


def _script(execution: Execution, home: Path) -> Path:
    """Return the file to run. Content never meets a command line, only its file's name does."""
    if execution.content_type is ContentType.SCRIPT:
        return Path(execution.content)
    path = home / "content.sh"
    write_private(path, execution.content)
    return path
