"""Writes that are one act: each is done only if the one before it changed a row.

PostgreSQL is told of all of them in one statement, and SQLite, to which the way is short, one after
the other.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from django.db import connections, models

from sentinel_project import prepared
from sentinel_project.params import binder, is_empty, length, params_of, statement_of
from sentinel_project.prepared import Update
from sentinel_project.statements import OPEN, Statement


class Insert:
    """An insert of new rows of one model; ``conflict``: what to do where there is one like it."""

    def __init__(self, *rows: models.Model, conflict: str = "") -> None:
        self.rows = rows
        self.conflict = conflict

    @property
    def model(self) -> type[models.Model]:
        return type(self.rows[0])


Step = Update | Insert


def chained(*steps: Step) -> int:
    """Do the steps until one of them changes nothing; return how many did.

    A row that is inserted alone is given its id. All of it is as atomic as its transaction.
    """
    connection: Any = connections["default"]
    if connection.vendor != "postgresql":
        return _one_by_one(steps)
    if any(isinstance(step, Update) and is_empty(step.arguments) for step in steps):
        raise ValueError("a step that can change nothing is not to be chained")
    key = tuple(map(_key, steps))
    if key not in _chains:
        _chains[key] = _compiled(steps, connection)
    statement, binders = _chains[key]
    bound = [value for bind, step in zip(binders, steps, strict=True) for value in bind(step)]
    sql = statement.text_on(connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, bound)
        (found,) = cursor.fetchall()
    return _told(steps, found, connection)


_Bind = Callable[[Any], list[Any]]
_chains: dict[Any, tuple[Statement, list[_Bind]]] = {}


def _one_by_one(steps: Sequence[Step]) -> int:
    for done, step in enumerate(steps):
        if not _do(step):
            return done
    return len(steps)


def _do(step: Step) -> int:
    if isinstance(step, Update):
        return prepared.update(step)
    if step.conflict:
        return prepared.insert_or(step.rows, step.conflict)
    prepared.insert(*step.rows)
    return len(step.rows)


def _key(step: Step) -> tuple[Any, ...]:
    if isinstance(step, Insert):
        return step.model, len(step.rows), step.conflict
    return step.kind, tuple(map(length, step.arguments.values()))


def _compiled(steps: Sequence[Step], connection: Any) -> tuple[Statement, list[_Bind]]:
    """Return one statement of all steps, and what finds the values of each."""
    texts: list[str] = []
    values: list[Any] = []
    binders: list[_Bind] = []
    for number, step in enumerate(steps):
        before = f"EXISTS (SELECT FROM w{number - 1})" if number else "TRUE"
        if isinstance(step, Update):
            text, own, bind = _update(step, before, connection)
        else:
            text, own, bind = _insert(step, before, connection)
        texts.append(f"w{number} AS ({text})")
        values += own
        binders.append(bind)
    # An update answers 1 for an id, so what is null was not done.
    told = ", ".join(f"(SELECT max(id) FROM w{number})" for number in range(len(steps)))  # noqa: S608 -- ours
    statement, _ = statement_of(f"WITH {', '.join(texts)} SELECT {told}", values)
    return statement, binders


def _update(step: Update, before: str, connection: Any) -> tuple[str, Sequence[Any], _Bind]:
    params = {name: params_of(name, value) for name, value in step.arguments.items()}
    _, query = step.query(params)
    sql, values = query.get_compiler(using=connection.alias).as_sql()
    _, open_values = statement_of(sql, values)
    binders = [binder(value) for value in open_values]

    def bind(step: Update) -> list[Any]:
        return [bind_one(step.arguments, connection) for bind_one in binders]

    return f"{sql} AND {before} RETURNING 1 AS id", values, bind


def _insert(step: Insert, before: str, connection: Any) -> tuple[str, Sequence[Any], _Bind]:
    quoted = connection.ops.quote_name
    fields = prepared.own_fields(step.model)
    columns = ", ".join(quoted(field.column) for field in fields)
    group = ", ".join(f"%s::{_type(field, connection)}" for field in fields)
    groups = ", ".join([f"({group})"] * len(step.rows))
    conflict = f" ON CONFLICT {step.conflict}" if step.conflict else ""
    into = f"INSERT INTO {quoted(step.model._meta.db_table)} ({columns})"

    def bind(step: Insert) -> list[Any]:
        return prepared.stored(step.rows, fields, connection)

    rows = f"SELECT * FROM (VALUES {groups}) AS v WHERE {before}"  # noqa: S608 -- names of ours
    text = f"{into} {rows}{conflict} RETURNING id"
    return text, [OPEN] * len(fields) * len(step.rows), bind


def _type(field: models.Field[Any, Any], connection: Any) -> str:
    """Return the type of a column without its length: too long a text is refused, not cut."""
    return re.sub(r"\(\d+\)", "", field.db_type(connection) or "")


def _told(steps: Sequence[Step], found: Sequence[Any], connection: Any) -> int:
    done = 0
    for step, last_id in zip(steps, found, strict=True):
        if last_id is None:
            break
        if isinstance(step, Insert) and len(step.rows) == 1:
            prepared.note_stored(step.rows[0], last_id, connection)
        done += 1
    return done
