"""The whole system, and a way to every endpoint that has no command of its own."""

from __future__ import annotations

import json
from enum import IntEnum
from typing import Annotated, Any

import typer

from sentinel_project.client.cli import output, words
from sentinel_project.client.cli.desk import desk_of
from sentinel_project.client.cli.output import Format, Output

group = typer.Typer(help="Pause or resume everything; for ADMIN apps.", rich_markup_mode=None)


class Switch(IntEnum):
    """``status`` of the whole system."""

    RUNS = 1
    PAUSED = 2


def add_to(program: typer.Typer) -> None:
    program.add_typer(group, name="system")
    program.command()(call)


@group.command()
def status(ctx: typer.Context, form: Output = Format.TABLE) -> None:
    """Say whether the whole system is paused."""
    _show(desk_of(ctx).client.calls.read("system/status/get"), form)


@group.command()
def pause(ctx: typer.Context, form: Output = Format.TABLE) -> None:
    """Let nothing open and nothing start."""
    _show(desk_of(ctx).client.calls.change("system/status/set", status=int(Switch.PAUSED)), form)


@group.command()
def resume(ctx: typer.Context, form: Output = Format.TABLE) -> None:
    """Go on, and catch up what was missed."""
    _show(desk_of(ctx).client.calls.change("system/status/set", status=int(Switch.RUNS)), form)


def call(
    ctx: typer.Context,
    path: Annotated[str, typer.Argument(metavar="PATH", help="Such as job/query.")],
    parameters: Annotated[str, typer.Argument(metavar="[JSON]", help="An object.")] = "{}",
    change: Annotated[
        bool, typer.Option("--change", help="It changes something: send a requestId.")
    ] = False,
) -> None:
    """Call any endpoint and print its answer's data."""
    calls = desk_of(ctx).client.calls
    path = path.removeprefix("/").removeprefix("api/")
    send = calls.change if change else calls.read
    output.show_json(send(path, **_object(parameters)))


def _object(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise typer.BadParameter(f"the parameters are no JSON: {error}") from None
    if not isinstance(found, dict):
        raise typer.BadParameter("the parameters must be a JSON object")
    return found


def _show(found: dict[str, Any], form: Format) -> None:
    record = {
        "status": words.word(Switch, found["status"]),
        "since": words.local(found["changeTime"]),
        "by": found["changeUser"],
    }
    output.show(found, form, lambda: output.show_record(record))
