"""What the exit codes mean. They are promised in docs/cli.md and never change their meaning."""

from __future__ import annotations

from enum import IntEnum

from tasks_app.rules.states import TaskStatus


class ExitCode(IntEnum):
    DONE = 0
    #: The server refused, or refused a part.
    REFUSED = 1
    #: The command line, a context or a document is wrong; nothing was sent, or nothing changed.
    USAGE = 2
    #: No answer, or none in the form of the wire: what was asked for may have been done.
    UNREACHABLE = 3
    #: The server broke; its log knows why.
    BROKEN = 4
    #: What --wait waited for.
    TASK_FAILED = 10
    TASK_KILLED = 11
    TASK_REMOVED = 12
    #: --wait had a --timeout, and it is over.
    GAVE_UP = 13
    #: A mistake of this program.
    OURS = 70
    INTERRUPTED = 130


_OUTCOMES = {
    TaskStatus.SUCCESS: ExitCode.DONE,
    TaskStatus.FAILED: ExitCode.TASK_FAILED,
    TaskStatus.KILLED: ExitCode.TASK_KILLED,
    TaskStatus.REMOVED: ExitCode.TASK_REMOVED,
}


def of_outcome(status: int) -> ExitCode:
    """Return the exit code of a final status."""
    return _OUTCOMES[TaskStatus(status)]
