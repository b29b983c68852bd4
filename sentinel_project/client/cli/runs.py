"""Runs that were not there: now, once more, of gaps; and slots that shall not run."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from sentinel_project.client.answers import BatchPlan
from sentinel_project.client.cli import output, waiting, words
from sentinel_project.client.cli.desk import JobRef, JobRefs, desk_of
from sentinel_project.client.cli.output import Format, Output

From = Annotated[str, typer.Option("--from", help="The first due time.")]
To = Annotated[str, typer.Option("--to", help="The last due time.")]


def add_to(program: typer.Typer) -> None:
    for command in (run, rerun, fill, skip):
        program.command()(command)


def run(
    ctx: typer.Context,
    job: JobRef,
    param: Annotated[list[str], typer.Option("--param", "-p", metavar="NAME=VALUE")] = [],
    wait: waiting.Wait = False,
    timeout: waiting.Patience = None,
    form: Output = Format.TABLE,
) -> None:
    """Run a job now, once, beside its schedule. --param stands in for all of its params."""
    desk = desk_of(ctx)
    changes = {"params": words.pairs(param)} if param else {}
    task_id = desk.client.run(desk.job_id(job), **changes)
    if wait:
        ended = waiting.wait_all(desk.client, [task_id], timeout)
        output.show(ended[0], form, lambda: waiting.show_standings(ended))
        waiting.finish(ended)
    else:
        output.show({"taskId": task_id}, form, lambda: output.show_record({"task": task_id}))


def rerun(
    ctx: typer.Context,
    jobs: JobRefs,
    start: From,
    end: To = "now",
    with_dependents: Annotated[
        bool, typer.Option("--with-dependents", help="Also the jobs that wait for them.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would run.")] = False,
    wait: waiting.Wait = False,
    timeout: waiting.Patience = None,
    form: Output = Format.TABLE,
) -> None:
    """Run past due times once more, as a batch of their own."""
    desk = desk_of(ctx)
    span = (desk.job_ids(jobs), words.millis(start), words.millis(end))
    if dry_run:
        planned = desk.client.plan_rerun(*span, with_dependents=with_dependents)
        output.show(planned, form, lambda: _show_plan(planned))
        return
    batch = desk.client.rerun(*span, with_dependents=with_dependents)
    if wait:
        ended = waiting.wait_all(desk.client, batch["taskIds"], timeout)
        data = {**batch, "tasks": ended}
        output.show(data, form, lambda: waiting.show_standings(ended))
        waiting.finish(ended)
        return
    output.show(
        batch,
        form,
        lambda: output.show_record({"batch": batch["batchId"], "tasks": batch["taskIds"]}),
    )


def fill(
    ctx: typer.Context, job: JobRef, start: From, end: To = "now", form: Output = Format.TABLE
) -> None:
    """Open the slots that lie in gaps."""
    desk = desk_of(ctx)
    ids = desk.client.fill(desk.job_id(job), words.millis(start), words.millis(end))
    output.show({"taskIds": ids}, form, lambda: output.show_record({"tasks": ids}))


def skip(
    ctx: typer.Context,
    job: JobRef,
    slot: Annotated[str, typer.Argument(metavar="TIME", help="A due time to come.")],
    reason: Annotated[str, typer.Option("--reason", help="Kept with the task.")] = "",
    form: Output = Format.TABLE,
) -> None:
    """Let a slot to come not run; whoever waits for it goes on."""
    desk = desk_of(ctx)
    job_id, due = desk.job_id(job), words.millis(slot)
    desk.client.skip(job_id, due, reason=reason)
    data: dict[str, Any] = {"jobId": job_id, "scheduleTime": due}
    output.show(
        data, form, lambda: output.show_record({"job": job_id, "skipped": words.local(due)})
    )


def _show_plan(planned: BatchPlan) -> None:
    output.show_table(
        ("DUE", "JOB"),
        [(words.local(each["scheduleTime"]), each["jobId"]) for each in planned["tasks"]],
    )
    output.note(f"{planned['count']} tasks would run")
    if planned["cutTime"] is not None:
        output.note(f"the range went past now and ends at {words.local(planned['cutTime'])}")
