"""``sentinel context``: remember whom to call, and as whom."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from sentinel_project.client.cli import output
from sentinel_project.client.cli.output import Format, Output
from sentinel_project.client.contexts import Context, Contexts, contexts_path, load, save
from sentinel_project.client.signing import TokenForm

group = typer.Typer(help="Remember whom to call, and as whom.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="NAME")]


@group.command()
def add(
    name: Name,
    url: Annotated[str, typer.Option("--url", help="Such as https://sentinel.example.")],
    app: Annotated[str, typer.Option("--app", help="Your app's name.")],
    user: Annotated[str, typer.Option("--user", help="Who acts; the login name.")] = "",
    token: Annotated[TokenForm, typer.Option("--token", help="Form.")] = TokenForm.STRONG,
) -> None:
    """Add or replace a context. The key is asked for, or read from standard input."""
    key = typer.prompt("Key", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    known = _load()
    made = Context(url, app, key.strip(), user, token)
    if not made.key:
        raise typer.BadParameter("the key is empty")
    save(_path(), Contexts(known.current or name, {**known.known, name: made}))


@group.command()
def use(name: Name) -> None:
    """Make a context the current one."""
    known = _load()
    known.named(name)
    save(_path(), Contexts(name, known.known))


@group.command()
def remove(name: Name) -> None:
    """Forget a context."""
    known = _load()
    known.named(name)
    left = {other: each for other, each in known.known.items() if other != name}
    save(_path(), Contexts("" if known.current == name else known.current, left))


@group.command("list")
def list_contexts(form: Output = Format.TABLE) -> None:
    """List the contexts, without their keys."""
    known = _load()
    rows = [
        {
            "name": name,
            "isCurrent": name == known.current,
            "url": each.url,
            "app": each.app,
            "user": each.user,
            "token": each.token,
        }
        for name, each in sorted(known.known.items())
    ]
    columns = ("NAME", "CURRENT", "URL", "APP", "USER", "TOKEN")
    output.show(
        rows, form, lambda: output.show_table(columns, [tuple(row.values()) for row in rows])
    )


def _path() -> Path:
    return contexts_path(os.environ)


def _load() -> Contexts:
    return load(_path())
