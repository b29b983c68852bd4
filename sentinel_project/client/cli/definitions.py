"""``submit`` and ``preview``: a job from the command line."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from jobs.rules.enums import Edit, ExpressionKind
from sentinel_project.client import Client
from sentinel_project.client.answers import Preview, Submitted
from sentinel_project.client.cli import output, waiting, words
from sentinel_project.client.cli.desk import Desk, desk_of
from sentinel_project.client.cli.output import Format, Output

_STDIN = "-"

Name = Annotated[str, typer.Argument(metavar="NAME", help="The job's name.")]
Type = Annotated[str, typer.Option("--type", "-t", help="What runs the content.")]
Content = Annotated[str, typer.Option("--content", "-c", help="The script or query itself.")]
File = Annotated[
    str, typer.Option("--file", "-f", metavar="PATH", help="Content from a file; - is stdin.")
]
Once = Annotated[bool, typer.Option("--once", help="A one-off: a single task.")]
Cron = Annotated[list[str], typer.Option("--cron", help="Run when this cron text says.")]
Rate = Annotated[list[str], typer.Option("--rate", help="Run at this rate.")]
Delay = Annotated[list[str], typer.Option("--delay", help="Run so long after the last end.")]
Iso = Annotated[list[str], typer.Option("--iso", help="Run by this ISO 8601 repetition.")]
After = Annotated[
    list[str],
    typer.Option("--after", metavar="JOB[@WINDOW]", help="Wait for another job's runs: x@d(-1)."),
]
Param = Annotated[list[str], typer.Option("--param", "-p", metavar="NAME=VALUE")]
Retries = Annotated[int, typer.Option("--retries", min=0, help="Automatic retries.")]
Zone = Annotated[str, typer.Option("--zone", help="Time zone of the schedule.")]
Set = Annotated[
    list[str],
    typer.Option(
        "--set", metavar="FIELD=JSON", help="Any other field of /api/job/submit, by its name."
    ),
]


def add_to(program: typer.Typer) -> None:
    program.command()(submit)
    program.command()(preview)


def submit(
    ctx: typer.Context,
    name: Name,
    job_type: Type = "shell",
    content: Content = "",
    file: File = "",
    once: Once = False,
    cron: Cron = [],
    rate: Rate = [],
    delay: Delay = [],
    iso: Iso = [],
    after: After = [],
    param: Param = [],
    retries: Retries = 0,
    zone: Zone = "",
    extra: Set = [],
    wait: waiting.Wait = False,
    timeout: waiting.Patience = None,
    form: Output = Format.TABLE,
) -> None:
    """Store a job. With --wait it is a one-off, which is run to its end."""
    desk = desk_of(ctx)
    fields = {
        "jobName": name,
        "jobType": job_type,
        "content": _content(content, file),
        "isTemp": once or wait,
        "params": words.pairs(param),
        "failedAttempts": retries,
        **_schedule(zone, CRON=cron, RATE=rate, DELAY=delay, ISO8601=iso),
        **_dependencies(desk, after),
        **words.pairs(extra, as_json=True),
    }
    made = _submitted(desk, fields, is_waited_for=wait)
    if wait:
        _wait(desk.client, made["jobId"], timeout, form)
        return
    shown = {"job": made["jobId"], "next": [words.local(at) for at in made["nextTimes"]]}
    output.show(made, form, lambda: output.show_record(shown))


def preview(
    ctx: typer.Context,
    cron: Cron = [],
    rate: Rate = [],
    iso: Iso = [],
    after: After = [],
    zone: Zone = "",
    job: Annotated[str, typer.Option("--job", help="As a change of this job's schedule.")] = "",
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100)] = 5,
    form: Output = Format.TABLE,
) -> None:
    """Say when a schedule would run, and which upstream runs it would wait for; keep nothing."""
    desk = desk_of(ctx)
    fields: dict[str, Any] = {
        "count": count,
        **_schedule(zone, CRON=cron, RATE=rate, ISO8601=iso),
        **_dependencies(desk, after),
    }
    if job:
        seen = desk.client.preview(desk.job_id(job), **fields)
    else:
        fields |= {"jobName": "preview", "jobType": "dummy", "content": "{}"}
        seen = desk.client.preview(**fields)
    output.show(seen, form, lambda: show_preview(seen))


def show_preview(seen: Preview) -> None:
    for each in seen["expressions"]:
        output.note(f"{each['expression']}: {each['sentence']}")
    output.show_table(
        (f"LOCAL ({seen['timeZone']})", "UTC", "NOTE", "WAITS FOR"),
        [(run["local"], run["utc"], run["note"], _waits(run)) for run in seen["runs"]],
    )
    for warning in seen["warnings"]:
        output.note(f"warning: {output.plain(warning)}")


def _waits(run: dict[str, Any]) -> str:
    return ", ".join(
        f"{len(each['runs'])}{'+' if each['isCut'] else ''} of job {each['preJobId']}"
        for each in run["upstreams"]
    )


def _content(text: str, path: str) -> str:
    if bool(text) == bool(path):
        raise typer.BadParameter("give either --content or --file")
    if not path:
        return text
    try:
        return sys.stdin.read() if path == _STDIN else Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise typer.BadParameter(f"{path} cannot be read: {error}") from None


def _schedule(zone: str, **texts: list[str]) -> dict[str, Any]:
    named = {"timeZone": zone} if zone else {}
    entries = [
        {
            "operatorMode": int(Edit.ADD),
            "expressionType": int(ExpressionKind[kind]),
            "expression": text,
        }
        for kind, given in texts.items()
        for text in given
    ]
    return named | ({"scheduleExpressionList": entries} if entries else {})


def _dependencies(desk: Desk, after: list[str]) -> dict[str, Any]:
    entries = []
    for text in after:
        job, at, window = text.rpartition("@")
        upstream = desk.job_id(job if at else text)
        entry = {"operatorMode": int(Edit.ADD), "preJobId": upstream}
        entries.append({**entry, "offsetStrategy": window} if at else entry)
    return {"dependencyList": entries} if entries else {}


def _submitted(desk: Desk, fields: dict[str, Any], *, is_waited_for: bool) -> Submitted:
    """Store the job; refused before anything is sent if it would leave nothing to wait for."""
    if is_waited_for and "scheduleExpressionList" in fields:
        raise typer.BadParameter("--wait runs the job at once: it cannot have a schedule")
    if is_waited_for and ("status" in fields or not fields["isTemp"]):
        raise typer.BadParameter(
            "--wait runs the job at once, as an ACTIVE one-off: leave out status and isTemp"
        )
    return desk.client.submit(**fields)


def _wait(client: Client, job_id: int, timeout: float | None, form: Format) -> None:
    # An ACTIVE one-off without a schedule has its task as soon as it is stored.
    task = next(client.tasks(job_id, limit=1))
    ended = waiting.wait_all(client, [task["taskId"]], timeout)
    data = {"jobId": job_id, **cast(dict[str, Any], ended[0])}
    output.show(data, form, lambda: waiting.show_standings(ended))
    waiting.finish(ended)
