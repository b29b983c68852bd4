"""Tasks: how they stand, what they printed, why they wait, and the verbs that move them."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from sentinel_project.client.answers import TaskOutcome, TaskWhole
from sentinel_project.client.cli import output, waiting, words
from sentinel_project.client.cli.desk import Desk, TaskId, TaskIds, desk_of
from sentinel_project.client.cli.exits import ExitCode
from sentinel_project.client.cli.output import Format, Output
from sentinel_project.client.following import StreamName
from tasks_app.rules.states import TaskStatus

Attempt = Annotated[
    int | None, typer.Option("--attempt", "-a", min=1, help="Which attempt; the last by default.")
]
Follow = Annotated[
    bool, typer.Option("--follow", "-f", help="Go on until the task ends, attempt after attempt.")
]


def add_to(program: typer.Typer) -> None:
    for command in (status, wait, result, log, kill, retry, remove, force, explain, timeline):
        program.command()(command)


def status(ctx: typer.Context, task: TaskId, form: Output = Format.TABLE) -> None:
    """Show how a task stands, with its attempts."""
    found = desk_of(ctx).client.task(task)
    output.show(found, form, lambda: _show_task(found))


def wait(
    ctx: typer.Context,
    tasks: TaskIds,
    timeout: waiting.Patience = None,
    form: Output = Format.TABLE,
) -> None:
    """Wait until tasks have ended; exit as the first one did that did not succeed."""
    ended = waiting.wait_all(desk_of(ctx).client, tasks, timeout)
    output.show(ended, form, lambda: waiting.show_standings(ended))
    waiting.finish(ended)


def result(
    ctx: typer.Context, task: TaskId, attempt: Attempt = None, follow: Follow = False
) -> None:
    """Print what a task wrote to stdout."""
    _print_stream(desk_of(ctx), task, StreamName.RESULT, attempt, follow)


def log(ctx: typer.Context, task: TaskId, attempt: Attempt = None, follow: Follow = False) -> None:
    """Print what a task wrote to stderr, with the system's own lines."""
    _print_stream(desk_of(ctx), task, StreamName.LOG, attempt, follow)


def kill(ctx: typer.Context, tasks: TaskIds, form: Output = Format.TABLE) -> None:
    """Stop tasks."""
    _show_outcomes(desk_of(ctx).client.kill(*tasks), form)


def retry(
    ctx: typer.Context,
    tasks: TaskIds,
    wait_for: waiting.Wait = False,
    timeout: waiting.Patience = None,
    form: Output = Format.TABLE,
) -> None:
    """Try failed or killed tasks again."""
    client = desk_of(ctx).client
    done = client.retry(*tasks)
    if not wait_for or any(each["code"] for each in done):
        _show_outcomes(done, form)
        return
    ended = waiting.wait_all(client, tasks, timeout)
    output.show(ended, form, lambda: waiting.show_standings(ended))
    waiting.finish(ended)


def remove(ctx: typer.Context, tasks: TaskIds, form: Output = Format.TABLE) -> None:
    """Take tasks out; whoever waits for them goes on."""
    _show_outcomes(desk_of(ctx).client.remove(*tasks), form)


def force(
    ctx: typer.Context,
    task: TaskId,
    status: Annotated[str, typer.Argument(metavar="SUCCESS|FAILED")],
    reason: Annotated[str, typer.Option("--reason", help="Kept with the task.")] = "",
    form: Output = Format.TABLE,
) -> None:
    """Set a task to SUCCESS or FAILED by hand; for ADMIN apps."""
    found = desk_of(ctx).client.force(task, words.code(TaskStatus, status), reason=reason)
    output.show(found, form, lambda: waiting.show_standings([found]))


def explain(
    ctx: typer.Context,
    task: Annotated[int | None, typer.Argument(metavar="[TASK]", min=1)] = None,
    job: Annotated[str, typer.Option("--job", help="A job, with --due, in place of a task.")] = "",
    due: Annotated[str, typer.Option("--due", help="A due time of the job.")] = "",
    at: Annotated[str, typer.Option("--at", help="As it was at an earlier instant.")] = "",
    form: Output = Format.TABLE,
) -> None:
    """Say gate by gate what a run has passed, and what holds it."""
    desk = desk_of(ctx)
    if (task is None) == (not job) or bool(job) != bool(due):
        raise typer.BadParameter("name either a TASK, or --job and --due")
    run = (
        {"taskId": task} if task else {"jobId": desk.job_id(job), "scheduleTime": words.millis(due)}
    )
    found = desk.client.explain(**run, **({"at": words.millis(at)} if at else {}))
    output.show(
        found,
        form,
        lambda: output.show_table(
            ("GATE", "STATE", "SINCE", "REASON", "TEXT"),
            [
                (
                    each["gate"],
                    each["state"],
                    words.local(each["since"]),
                    each["reason"],
                    each["text"],
                )
                for each in found["gates"]
            ],
        ),
    )


def timeline(ctx: typer.Context, task: TaskId, form: Output = Format.TABLE) -> None:
    """List what happened to a task, in order."""
    found = desk_of(ctx).client.timeline(task)
    output.show(
        found,
        form,
        lambda: output.show_table(
            ("TIME", "FACT", "ATTEMPT", "REASON", "USER", "TEXT"),
            [
                (
                    words.local(fact["time"]),
                    fact["fact"],
                    fact["attemptId"],
                    fact["reason"],
                    fact["user"],
                    fact["text"],
                )
                for fact in found["facts"]
            ],
        ),
    )


def _show_task(task: TaskWhole) -> None:
    status = words.word(TaskStatus, task["status"])
    output.show_record(
        {
            "task": task["taskId"],
            "job": task["jobId"],
            "status": status,
            "reason": task["reason"],
            "why": task["reasonText"],
            "kind": task["kind"],
            "due": words.local(task["scheduleTime"]),
            "started": words.local(task["startTime"]),
            "ended": words.local(task["endTime"]),
        }
    )
    if task["attempts"]:
        output.show_table(
            ("ATTEMPT", "STATUS", "EXIT", "REASON", "WORKER", "STARTED", "ENDED"),
            [
                (
                    each["attemptId"],
                    each["status"],
                    each["exitCode"],
                    each["reason"],
                    each["worker"],
                    words.local(each["startTime"]),
                    words.local(each["endTime"]),
                )
                for each in task["attempts"]
            ],
        )


def _print_stream(
    desk: Desk, task_id: int, stream: StreamName, attempt: int | None, follow: bool
) -> None:
    """Print a stream as it is. Following begins at the first attempt, reading at the last."""
    if follow:
        last = attempt or 1
        for piece in desk.client.follow(task_id, stream, attempt=last):
            if piece.attempt != last:
                output.note(f"--- attempt {piece.attempt}")
                last = piece.attempt
            _print(piece.text)
        return
    number = attempt or desk.client.standing(task_id)["attemptId"]
    if not number:
        output.note(f"task {task_id} has no attempt yet")
    offset = 0
    while number:
        found = desk.client.read_stream(task_id, stream, attempt=number, offset=offset)
        _print(found["log"])
        offset = found["offset"]
        if not found["log"]:
            return


def _print(text: str) -> None:
    """Print at once and byte for byte: text is UTF-8, whatever the locale."""
    sys.stdout.buffer.write(text.encode())
    sys.stdout.flush()


def _show_outcomes(done: Sequence[TaskOutcome], form: Format) -> None:
    output.show(
        done,
        form,
        lambda: output.show_table(
            ("TASK", "STATUS", "ANSWER"),
            [
                (each["taskId"], words.word(TaskStatus, each["status"]), each["msg"])
                for each in done
            ],
        ),
    )
    if any(each["code"] for each in done):
        raise typer.Exit(ExitCode.REFUSED)
