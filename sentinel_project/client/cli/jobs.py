"""Jobs: list them, look at one, see what is planned, pause and resume."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from jobs.rules.enums import JobStatus
from sentinel_project.client.cli import output, words
from sentinel_project.client.cli.desk import JobRef, JobRefs, desk_of
from sentinel_project.client.cli.exits import ExitCode
from sentinel_project.client.cli.output import Format, Output
from tasks_app.rules.states import TaskStatus

Limit = Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="At most so many.")]


def add_to(program: typer.Typer) -> None:
    program.command("list")(list_jobs)
    program.command()(show)
    program.command("tasks")(list_tasks)
    program.command()(plan)
    for name, status, said in (
        ("pause", JobStatus.PAUSED, "Let nothing of the jobs start; a resume catches up."),
        ("resume", JobStatus.ACTIVE, "Let paused or disabled jobs go on."),
        ("disable", JobStatus.DISABLED, "Remove what has not started; catch nothing up later."),
        ("trash", JobStatus.TRASHED, "As disable, and final."),
    ):
        program.command(name, help=said)(_setting(status))


def list_jobs(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", help="A part of the name.")] = "",
    status: Annotated[str, typer.Option("--status", help="Such as PAUSED or TRASHED.")] = "",
    job_type: Annotated[str, typer.Option("--type", "-t")] = "",
    group: Annotated[int | None, typer.Option("--group", min=1, help="Worker group.")] = None,
    department: Annotated[str, typer.Option("--department")] = "",
    limit: Limit = 100,
    form: Output = Format.TABLE,
) -> None:
    """List jobs, the newest first."""
    filters = _filters(name, status, job_type, group, department)
    found = list(desk_of(ctx).client.jobs(**filters, limit=limit))
    output.show(
        found,
        form,
        lambda: output.show_table(
            ("JOB", "NAME", "TYPE", "STATUS", "APP", "NEXT"),
            [
                (
                    job["jobId"],
                    job["jobName"],
                    job["jobType"],
                    words.word(JobStatus, job["status"]),
                    job["appName"],
                    words.local(job["nextTime"]),
                )
                for job in found
            ],
        ),
    )


def show(ctx: typer.Context, job: JobRef, form: Output = Format.TABLE) -> None:
    """Show a job's whole definition."""
    desk = desk_of(ctx)
    found = desk.client.job(desk.job_id(job))
    status = words.word(JobStatus, found["status"])
    output.show(found, form, lambda: output.show_record({**found, "status": status}))


def list_tasks(
    ctx: typer.Context,
    job: JobRef,
    status: Annotated[str, typer.Option("--status", help="Such as FAILED.")] = "",
    start: Annotated[str, typer.Option("--from", help="Due then or later.")] = "",
    end: Annotated[str, typer.Option("--to", help="Due then or earlier.")] = "",
    kind: Annotated[str, typer.Option("--kind", help="SCHEDULE, RERUN, TEMP or MANUAL.")] = "",
    limit: Limit = 20,
    form: Output = Format.TABLE,
) -> None:
    """List a job's tasks, the latest due first."""
    desk = desk_of(ctx)
    filters: dict[str, Any] = {
        **({"status": int(words.code(TaskStatus, status))} if status else {}),
        **({"from": words.millis(start)} if start else {}),
        **({"to": words.millis(end)} if end else {}),
        **({"kind": kind.upper()} if kind else {}),
    }
    found = list(desk.client.tasks(desk.job_id(job), **filters, limit=limit))
    output.show(
        found,
        form,
        lambda: output.show_table(
            ("TASK", "DUE", "STATUS", "KIND", "ATTEMPT", "STARTED", "ENDED", "REASON"),
            [
                (
                    task["taskId"],
                    words.local(task["scheduleTime"]),
                    words.word(TaskStatus, task["status"]),
                    task["kind"],
                    task["attemptId"],
                    words.local(task["startTime"]),
                    words.local(task["endTime"]),
                    task["reason"],
                )
                for task in found
            ],
        ),
    )


def plan(
    ctx: typer.Context,
    start: Annotated[str, typer.Option("--from", help="The first instant.")] = "now",
    end: Annotated[str, typer.Option("--to", help="The end, at most 7 days later.")] = "+1d",
    job: Annotated[str, typer.Option("--job", help="Only this job.")] = "",
    name: Annotated[str, typer.Option("--name", help="A part of the name.")] = "",
    form: Output = Format.TABLE,
) -> None:
    """List the runs that are owed in a span of time, earliest first."""
    desk = desk_of(ctx)
    filters: dict[str, Any] = {
        **({"jobId": desk.job_id(job)} if job else {}),
        **({"jobName": name} if name else {}),
    }
    found = desk.client.plan(words.millis(start), words.millis(end), **filters)
    output.show(
        found,
        form,
        lambda: output.show_table(
            ("DUE", "JOB", "NAME", "TASK", "STATUS", "REASON"),
            [
                (
                    words.local(run["scheduleTime"]),
                    run["jobId"],
                    run["jobName"],
                    run["taskId"],
                    words.word(TaskStatus, run["status"]),
                    run["reason"],
                )
                for run in found
            ],
        ),
    )


def _setting(status: JobStatus) -> Any:
    def set_status(ctx: typer.Context, jobs: JobRefs, form: Output = Format.TABLE) -> None:
        desk = desk_of(ctx)
        done = desk.client.set_job_status(desk.job_ids(jobs), status)
        output.show(
            done,
            form,
            lambda: output.show_table(
                ("JOB", "STATUS", "ANSWER"),
                [
                    (
                        each["jobId"],
                        words.word(JobStatus, each["status"]),
                        "; ".join([each["msg"], *each["warnings"]]),
                    )
                    for each in done
                ],
            ),
        )
        if any(each["code"] for each in done):
            raise typer.Exit(ExitCode.REFUSED)

    return set_status


def _filters(
    name: str, status: str, job_type: str, group: int | None, department: str
) -> dict[str, Any]:
    return {
        **({"jobName": name} if name else {}),
        **({"status": int(words.code(JobStatus, status))} if status else {}),
        **({"jobType": job_type} if job_type else {}),
        **({"workerGroupId": group} if group is not None else {}),
        **({"department": department} if department else {}),
    }
