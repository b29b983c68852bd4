"""The program: its options, its commands, and one clear line for everything that goes wrong."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Annotated

import typer

from sentinel_project.client import ClientError, GaveUp, Refusal, ServerBroken, WrongAddress
from sentinel_project.client.cli import (
    apps,
    contexts,
    definitions,
    documents,
    jobs,
    runs,
    system,
    tasks,
)
from sentinel_project.client.cli.desk import Desk
from sentinel_project.client.cli.exits import ExitCode
from sentinel_project.client.cli.output import plain
from sentinel_project.client.contexts import ContextError
from sentinel_project.client.document import DocumentError

program = typer.Typer(
    name="sentinel",
    help="Submit jobs to Sentinel, follow their runs, and act on them.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (definitions, jobs, runs, tasks, documents, apps, system):
    part.add_to(program)
program.add_typer(contexts.group, name="context")


@program.callback()
def start(
    ctx: typer.Context,
    context: Annotated[
        str, typer.Option("--context", envvar="SENTINEL_CONTEXT", help="Which context to use.")
    ] = "",
    patience: Annotated[
        float, typer.Option("--call-timeout", min=0.1, help="Seconds that one call may take.")
    ] = 30,
) -> None:
    ctx.obj = Desk(context, patience)
    ctx.call_on_close(ctx.obj.close)


def main(arguments: list[str] | None = None) -> int:
    """Run the program and return its exit code."""
    try:
        given = sys.argv[1:] if arguments is None else arguments
        code = program(args=given or ["--help"], prog_name="sentinel", standalone_mode=False)
        sys.stdout.flush()
    except (ClientError, ContextError, DocumentError, typer.TyperException) as error:
        return _complain(_said(error), _code_of(error))
    except (KeyboardInterrupt, typer.Abort):
        return _complain("interrupted", ExitCode.INTERRUPTED)
    except (BrokenPipeError, SystemExit) as error:
        # The library of the command line leaves with 1 when nobody reads any more.
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise
        _close_quietly()
        return ExitCode.DONE
    except Exception as error:
        if os.environ.get("SENTINEL_DEBUG"):
            traceback.print_exc()
        said = f"{type(error).__name__}: {error} (SENTINEL_DEBUG=1 shows where)"
        return _complain(f"a mistake of this program: {said}", ExitCode.OURS)
    return code if isinstance(code, int) else ExitCode.DONE


def _said(error: Exception) -> str:
    return error.format_message() if isinstance(error, typer.TyperException) else str(error)


def _code_of(error: Exception) -> ExitCode:
    match error:
        case Refusal():
            return ExitCode.REFUSED
        case GaveUp():
            return ExitCode.GAVE_UP
        case ServerBroken():
            return ExitCode.BROKEN
        case WrongAddress():
            return ExitCode.USAGE
        case ClientError():
            return ExitCode.UNREACHABLE
        case _:
            return ExitCode.USAGE


def _complain(message: str, code: ExitCode) -> int:
    typer.echo(f"sentinel: {plain(message)}", err=True)
    return code


def _close_quietly() -> None:
    """Whoever read our output has enough; do not let the interpreter complain at its exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
