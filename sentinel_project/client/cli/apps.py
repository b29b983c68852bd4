"""The apps that may call: register, look at, change, switch and key them; for ADMIN apps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from jobs.rules.enums import AppKind, Switch
from sentinel_project.client import Refusal
from sentinel_project.client.answers import AppBrief
from sentinel_project.client.cli import output, words
from sentinel_project.client.cli.desk import desk_of
from sentinel_project.client.cli.jobs import Limit
from sentinel_project.client.cli.output import Format, Output

group = typer.Typer(help="Register and change apps; for ADMIN apps.", rich_markup_mode=None)

Name = Annotated[str, typer.Argument(metavar="APP", help="The app's name.")]
Owner = Annotated[str | None, typer.Option("--owner", help="Who answers for it.")]
Tokens = Annotated[str | None, typer.Option("--tokens", help="v1, v2 or both.")]
Running = Annotated[
    int | None, typer.Option("--max-running", min=0, help="Tasks at once; 0: any number.")
]
Priority = Annotated[int | None, typer.Option("--max-priority", min=0, help="Of its jobs.")]
Set = Annotated[
    list[str],
    typer.Option("--set", metavar="FIELD=JSON", help="Any other field of /api/app/add, by name."),
]


def add_to(program: typer.Typer) -> None:
    program.add_typer(group, name="apps")
    for name, status, said in (
        ("enable", Switch.ENABLED, "Let an app call again, and its tasks start."),
        ("disable", Switch.DISABLED, "Refuse an app's calls; its tasks wait."),
    ):
        group.command(name, help=said)(_setting(status))


@group.command("list")
def list_apps(
    ctx: typer.Context,
    name: Annotated[str, typer.Option("--name", help="A part of the name.")] = "",
    limit: Limit = 100,
    form: Output = Format.TABLE,
) -> None:
    """List apps, the newest first."""
    found = list(desk_of(ctx).client.apps(**({"appName": name} if name else {}), limit=limit))
    columns = ("APP", "TYPE", "STATUS", "OWNER", "TOKENS", "KEYS")
    output.show(found, form, lambda: output.show_table(columns, map(_row, found)))


@group.command()
def show(ctx: typer.Context, app: Name, form: Output = Format.TABLE) -> None:
    """Show what an app is and may do; never its key."""
    client = desk_of(ctx).client
    found = next((each for each in client.apps(appName=app) if each["appName"] == app), None)
    if found is None:
        raise Refusal(f"no app {app!r}")
    _show(found, form)


@group.command()
def add(
    ctx: typer.Context,
    app: Name,
    is_admin: Annotated[bool, typer.Option("--admin", help="It sees and does all.")] = False,
    owner: Owner = None,
    tokens: Tokens = None,
    running: Running = None,
    priority: Priority = None,
    extra: Set = [],
    form: Output = Format.TABLE,
) -> None:
    """Register an app and print its key, once."""
    kind = AppKind.ADMIN if is_admin else AppKind.NORMAL
    fields = _fields(owner, tokens, running, priority, extra)
    made = desk_of(ctx).client.calls.change("app/add", appName=app, appType=kind.value, **fields)
    output.show(made, form, lambda: output.show_record({"app": app, "key": made["appKey"]}))


@group.command()
def edit(
    ctx: typer.Context,
    app: Name,
    owner: Owner = None,
    tokens: Tokens = None,
    running: Running = None,
    priority: Priority = None,
    extra: Set = [],
    form: Output = Format.TABLE,
) -> None:
    """Change what is given of an app, and leave the rest."""
    fields = _fields(owner, tokens, running, priority, extra)
    _show(desk_of(ctx).client.calls.change("app/edit", appName=app, **fields), form)


@group.command("rotate-key")
def rotate_key(
    ctx: typer.Context,
    app: Name,
    drops_old: Annotated[
        bool, typer.Option("--drop-old", help="End the old key; make none.")
    ] = False,
    form: Output = Format.TABLE,
) -> None:
    """Make a second key and print it, once; or, when all clients have it, drop the old one."""
    turned = desk_of(ctx).client.calls.change("app/rotateKey", appName=app, dropOld=drops_old)
    record = {"app": app, "key": turned["appKey"] or "the old one is dropped"}
    output.show(turned, form, lambda: output.show_record(record))


@group.command()
def delete(ctx: typer.Context, app: Name, form: Output = Format.TABLE) -> None:
    """Let no key fit an app any more; its name stays taken."""
    done = desk_of(ctx).client.calls.change("app/delete", appName=app)
    output.show(done, form, lambda: output.show_record({"app": app, "status": "deleted"}))


def _setting(status: Switch) -> Callable[..., None]:
    def command(ctx: typer.Context, app: Name, form: Output = Format.TABLE) -> None:
        _show(desk_of(ctx).client.calls.change("app/edit", appName=app, status=int(status)), form)

    return command


def _fields(
    owner: str | None,
    tokens: str | None,
    running: int | None,
    priority: int | None,
    extra: list[str],
) -> dict[str, Any]:
    """Return what was given: the server knows the defaults."""
    named = {
        "owner": owner,
        "tokenForms": tokens,
        "maxConcurrency": running,
        "maxPriority": priority,
    }
    given = {name: value for name, value in named.items() if value is not None}
    return given | words.pairs(extra, as_json=True)


def _row(app: AppBrief) -> tuple[object, ...]:
    return (
        app["appName"],
        app["appType"],
        words.word(Switch, app["status"]),
        app["owner"],
        app["tokenForms"],
        2 if app["hasOldKey"] else 1,
    )


def _show(app: AppBrief, form: Format) -> None:
    record = {
        **app,
        "status": words.word(Switch, app["status"]),
        "createTime": words.local(app["createTime"]),
    }
    output.show(app, form, lambda: output.show_record(record))
