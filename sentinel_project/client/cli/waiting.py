"""``--wait``: stay until tasks have ended, and exit as they ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from sentinel_project.client import Client
from sentinel_project.client.answers import TaskStanding
from sentinel_project.client.cli import exits, output, words
from sentinel_project.clock import monotonic
from tasks_app.rules.states import TaskStatus

Wait = Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end; exit as it ended.")]
Patience = Annotated[
    float | None,
    typer.Option("--timeout", min=0, metavar="SECONDS", help="Wait no longer; then exit 13."),
]


def wait_all(client: Client, task_ids: Sequence[int], timeout: float | None) -> list[TaskStanding]:
    """Wait for the tasks and return how they ended, in their order."""
    began = monotonic()
    ended: list[TaskStanding] = []
    with output.progress("waiting") as say:

        def seen(now: TaskStanding) -> None:
            say(f"{len(ended)} of {len(task_ids)} ended; task {_sentence(now)}")

        for task_id in task_ids:
            left = None if timeout is None else max(0.0, timeout - (monotonic() - began))
            ended.append(client.wait(task_id, timeout=left, seen=seen))
    return ended


def _sentence(standing: TaskStanding) -> str:
    status = words.word(TaskStatus, standing["status"])
    return f"{standing['taskId']} is {status}, attempt {standing['attemptId']}"


def finish(ended: Sequence[TaskStanding]) -> None:
    """End the program as the tasks ended: the first that did not succeed decides."""
    for standing in ended:
        if standing["status"] != TaskStatus.SUCCESS:
            raise typer.Exit(exits.of_outcome(standing["status"]))


def show_standings(found: Sequence[TaskStanding]) -> None:
    output.show_table(
        ("TASK", "STATUS", "ATTEMPT", "REASON"),
        [
            (
                each["taskId"],
                words.word(TaskStatus, each["status"]),
                each["attemptId"],
                each["reason"],
            )
            for each in found
        ],
    )
