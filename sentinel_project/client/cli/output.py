"""Answers on standard output, as a table or as the wire's own JSON; progress on a terminal only."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Annotated, Any

import typer


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"


Output = Annotated[
    Format, typer.Option("--output", "-o", help="For people, or the wire's own JSON.")
]
#: Where nothing cuts lines, a table is as wide as it needs to be.
_ENDLESS = 100_000


def show(data: Any, form: Format, table: Callable[[], None]) -> None:
    """Print ``data`` as JSON, or let ``table`` print what people want to see of it."""
    if form is Format.JSON:
        show_json(data)
    else:
        table()


def show_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))  # noqa: T201 (this is what it is for)


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(plain(value)) for value in row))
    width = None if sys.stdout.isatty() else _ENDLESS
    text = Console(width=width, soft_wrap=False, highlight=False)
    text.print(table)


def show_record(words: Mapping[str, object]) -> None:
    """Print one thing, a line per property; what is empty is left out."""
    wide = max((len(name) for name in words), default=0)
    for name, value in words.items():
        if value not in (None, "", [], {}):
            lines = (plain(value) if not isinstance(value, str) else value).splitlines() or [""]
            margin = "\n" + " " * (wide + 2)
            typer.echo(f"{name:<{wide}}  {margin.join(map(plain, lines))}")


def plain(value: object) -> str:
    """Return a value as one line that cannot move a terminal's cursor or change its colours."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | dict):
        value = json.dumps(value, ensure_ascii=False)
    return "".join(_visible(sign) for sign in str(value))


def _visible(sign: str) -> str:
    if unicodedata.category(sign) not in {"Cc", "Cf"}:
        return sign
    return sign.encode("unicode_escape").decode("ascii")


def note(text: str) -> None:
    """Say something that is no answer."""
    typer.echo(text, err=True)


@contextmanager
def progress(text: str) -> Iterator[Callable[[str], None]]:
    """Show that something goes on, with a function that changes the words; only on a terminal."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.text import Text

    with Console(stderr=True).status(Text(text)) as status:
        yield lambda words: status.update(Text(words))
