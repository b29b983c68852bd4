"""Rows of a query as lines of RESULT: tab-separated with a header, or one JSON object each.

In TSV a backslash, a tab, a line feed and a carriage return inside a value are written as a
backslash and one sign, the way PostgreSQL's COPY does: a row is one line and can be read back.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

NULL = "\\N"
_PIECE_BYTES = 64 * 1024
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


@dataclass(frozen=True, slots=True)
class Format:
    """How rows are written. ``most`` None: all of them, else so many of each statement."""

    is_json: bool = False
    null: str = NULL
    most: int | None = 10_000


def write(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    form: Format,
    deliver: Callable[[bytes], None],
) -> tuple[int, bool]:
    """Deliver header and rows; return how many rows that was, and whether there were more."""
    buffer = bytearray() if form.is_json else bytearray(_tsv(columns, form.null))
    names = _unique(columns)
    count, is_cut = 0, False
    for row in rows:
        if count == form.most:
            is_cut = True
            break
        buffer += _json(names, row) if form.is_json else _tsv(row, form.null)
        count += 1
        if len(buffer) >= _PIECE_BYTES:
            deliver(bytes(buffer))
            buffer.clear()
    if buffer:
        deliver(bytes(buffer))
    return count, is_cut


def _tsv(values: Iterable[object], null: str) -> bytes:
    cells = (null if value is None else text(value).translate(_ESCAPES) for value in values)
    return ("\t".join(cells) + "\n").encode(errors="replace")


def _json(names: Sequence[str], row: Sequence[object]) -> bytes:
    document = dict(zip(names, map(_jsonable, row), strict=True))
    return (json.dumps(document, ensure_ascii=False) + "\n").encode(errors="replace")


def _unique(columns: Sequence[str]) -> list[str]:
    """Number columns of the same name, or an object would keep only the last of them."""
    found: dict[str, None] = {}
    for column in columns:
        name, number = column, 1
        while name in found:
            number += 1
            name = f"{column}_{number}"
        found[name] = None
    return list(found)


def text(value: object) -> str:
    """Spell a value the way SQL does, alike for every back end."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"\\x{bytes(value).hex()}"
    if isinstance(value, dict | list | tuple):
        return json.dumps(_jsonable(value), ensure_ascii=False)
    return str(value)


def _jsonable(value: Any) -> Any:
    """Numbers that JSON readers would round, times and bytes are written as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, dict):
        return {str(key): _jsonable(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    return text(value)
