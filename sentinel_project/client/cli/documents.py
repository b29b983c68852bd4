"""``apply`` and ``export``: jobs as a document."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sentinel_project.client.cli import output, words
from sentinel_project.client.cli.desk import desk_of
from sentinel_project.client.cli.exits import ExitCode
from sentinel_project.client.cli.output import Format, Output
from sentinel_project.client.document import DocumentError, Wanted, wanted_jobs
from sentinel_project.client.document.applying import Action, Applier, Step
from sentinel_project.client.document.entries import entry_of


def add_to(program: typer.Typer) -> None:
    program.command()(apply)
    program.command()(export)


def apply(
    ctx: typer.Context,
    file: Annotated[str, typer.Option("--file", "-f", metavar="PATH", help="- is stdin.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")] = False,
    form: Output = Format.TABLE,
) -> None:
    """Make jobs as a document describes them: create or edit, by their names."""
    wanted = _read(file)
    desk = desk_of(ctx)
    with output.progress("asking what would change") as say:
        applier = Applier(desk.client, desk.context.app)
        steps = []
        for step in applier.plan(wanted):
            steps.append(step)
            say(f"asked about {len(steps)} of {len(wanted)} jobs")
    refused = [step for step in steps if step.refusal]
    if not refused and not dry_run:
        with output.progress("applying") as say:
            for number, _ in enumerate(applier.apply(steps)):
                say(f"applied {number + 1} of {len(steps)} jobs")
    output.show([_answer(step) for step in steps], form, lambda: _show_steps(steps))
    if refused:
        output.note(f"{len(refused)} of {len(steps)} jobs would be refused; nothing was changed")
        raise typer.Exit(ExitCode.REFUSED)
    counts = {action: sum(step.action is action for step in steps) for action in Action}
    said = ", ".join(f"{count} {action}" for action, count in counts.items())
    output.note(f"{'would be' if dry_run else 'done'}: {said}")


def export(
    ctx: typer.Context,
    jobs: Annotated[list[str] | None, typer.Argument(metavar="[JOB...]", help="All.")] = None,
    one_offs: Annotated[bool, typer.Option("--one-offs", help="One-offs, too.")] = False,
) -> None:
    """Print jobs as a document that ``apply`` reads; applied at once it changes nothing."""
    from sentinel_project.client.document import yamltext

    desk = desk_of(ctx)
    known = list(desk.client.jobs(appName=desk.context.app))
    names = {job["jobId"]: job["jobName"] for job in known}
    ids = desk.job_ids(jobs) if jobs else [j["jobId"] for j in known if one_offs or not j["isTemp"]]
    entries = []
    with output.progress("reading") as say:
        for number in sorted(ids):
            entries.append(entry_of(desk.client.job(number), names))
            say(f"read {len(entries)} of {len(ids)} jobs")
    sys.stdout.buffer.write(yamltext.dump({"jobs": entries}).encode())


def _read(path: str) -> list[Wanted]:
    from sentinel_project.client.document import yamltext

    try:
        data = sys.stdin.buffer.read() if path == "-" else Path(path).read_bytes()
        return wanted_jobs(yamltext.load(data.decode("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise DocumentError(f"{path} cannot be read: {error}") from None
    except yamltext.TextError as error:
        raise DocumentError(f"{path} is no YAML: {error}") from None


def _answer(step: Step) -> dict[str, Any]:
    """Return a step for programs."""
    return {
        "jobName": step.wanted.name,
        "jobId": step.job_id,
        "action": step.action,
        "changes": list(step.difference.lines) if step.difference else [],
        "nextTimes": step.preview["nextTimes"] if step.preview else [],
        "warnings": step.preview["warnings"] if step.preview else [],
        "refusal": step.refusal or None,
    }


def _show_steps(steps: Sequence[Step]) -> None:
    for step in steps:
        typer.echo(f"{step.action} {output.plain(step.wanted.name)}")
        for line in step.difference.lines if step.difference else ():
            typer.echo(f"    {output.plain(line)}")
        if step.preview and step.preview["nextTimes"]:
            times = ", ".join(words.local(at) for at in step.preview["nextTimes"])
            typer.echo(f"    next: {times}")
        if step.unseen:
            typer.echo(
                f"    not previewed, since it changes too: {output.plain(', '.join(step.unseen))}"
            )
        for warning in step.preview["warnings"] if step.preview else ():
            typer.echo(f"    warning: {output.plain(warning)}")
        if step.refusal:
            typer.echo(f"    refused: {output.plain(step.refusal)}")
