"""Queries that are written in the ORM's words and turned into SQL once, not at every call.

Django builds and compiles a query anew each time, which costs many times what the database needs
for a look-up by key. The engine asks the same dozen of questions for every task, so those are
declared with ``select``, or sent through ``write`` or ``insert``: the query is compiled once, with
placeholders, and later calls only bind values. A list argument is padded with its last element to
a power of two, so that few lengths are compiled.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import cache, wraps
from typing import Any, ParamSpec, TypeVar, cast

from django.db import connections, models
from django.db.models.sql import UpdateQuery

from sentinel_project.params import binder, is_empty, is_fixed, length, params_of, statement_of
from sentinel_project.rowreader import Reader
from sentinel_project.statements import OPEN, Statement

P = ParamSpec("P")
R = TypeVar("R")


def select(build: Callable[P, models.QuerySet[Any, R]]) -> Callable[P, list[R]]:
    """Return ``build`` as a prepared query that answers its rows.

    It is called with ints, texts, bools, instants, or sequences of these; an empty sequence answers
    no rows.
    """
    return _asking(build, "")


def select_held(build: Callable[P, models.QuerySet[Any, R]]) -> Callable[P, list[R]]:
    """As ``select``, and no row it answers is deleted before the transaction ends.

    SQLite, which has one writer at a time, holds nothing.
    """
    return _asking(build, " FOR KEY SHARE")


def _asking(build: Callable[P, models.QuerySet[Any, R]], lock: str) -> Callable[P, list[R]]:
    signature = inspect.signature(build)
    templates: dict[Any, _Template] = {}

    @wraps(build)
    def ask(*args: P.args, **kwargs: P.kwargs) -> list[R]:
        arguments = signature.bind(*args, **kwargs).arguments
        if is_empty(arguments):
            return []
        template = _template(
            templates, arguments, lambda params: _Template(cast(Any, build)(**params), lock=lock)
        )
        return template.rows(arguments)

    return ask


class Update:
    """An update of the rows of ``model`` that ``where`` names.

    ``where`` and ``values`` are as of ``filter`` and ``update``; expressions among the values are
    part of its kind, so they must not hold anything that changes from call to call.
    """

    def __init__(
        self, model: type[models.Model], where: Mapping[str, Any], values: Mapping[str, Any]
    ) -> None:
        self.model = model
        self._where, self._values = tuple(where), tuple(values)
        self._fixed = {name: value for name, value in values.items() if is_fixed(value)}
        self.arguments = {f"where_{name}": value for name, value in where.items()}
        for name, value in values.items():
            if name not in self._fixed:
                self.arguments[f"set_{name}"] = value

    @property
    def kind(self) -> tuple[Any, ...]:
        """Return what it has in common with those that are compiled alike, but for lengths."""
        fixed = tuple(self._fixed.get(name, ...) for name in self._values)
        return self.model, self._where, self._values, fixed

    def query(self, params: Mapping[str, Any]) -> tuple[models.QuerySet[Any, Any], UpdateQuery]:
        """Return it with ``params`` in the place of its arguments."""
        wheres = {name: params[f"where_{name}"] for name in self._where}
        queryset = self.model._default_manager.filter(**wheres)
        query: Any = queryset.query.chain(UpdateQuery)
        query.add_update_values(
            {
                name: self._fixed[name] if name in self._fixed else params[f"set_{name}"]
                for name in self._values
            }
        )
        return queryset, query


def write(model: type[models.Model], where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """Update rows, and return how many; the compiled statement is kept by shape."""
    return update(Update(model, where, values))


def update(words: Update) -> int:
    """As ``write``, of words that were put together before."""
    if is_empty(words.arguments):
        return 0
    templates = _written.setdefault(words.kind, {})
    template = _template(templates, words.arguments, lambda params: _Template(*words.query(params)))
    return template.write(words.arguments)


_written: dict[Any, dict[Any, _Template]] = {}


def insert(*rows: models.Model) -> None:
    """Insert new rows of one model in one statement, and give them their ids."""
    _insert(rows)


def insert_if_new(row: models.Model) -> bool:
    """Insert a row and give it its id; False: a unique constraint has one like it already.

    It waits for whoever is about to insert that one. The transaction is as good as before.
    """
    return bool(insert_or([row], "DO NOTHING"))


def insert_or(rows: Sequence[models.Model], conflict: str) -> int:
    """Insert rows, or do as ``conflict`` says of one like it; return how many were written."""
    return _insert(rows, f" ON CONFLICT {conflict}")


def _insert(rows: Sequence[models.Model], conflict: str = "") -> int:
    model = type(rows[0])
    connection: Any = connections[model._default_manager.db]
    fields, statement = _insertion(model, connection.vendor, len(rows), conflict)
    bound = stored(rows, fields, connection)
    sql = statement.text_on(connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, bound)
        found = cursor.fetchall()
    # Both engines return the rows in the order in which they were given.
    for row, (row_id,) in zip(rows, found, strict=not conflict):
        note_stored(row, row_id, connection)
    return len(found)


def stored(
    rows: Sequence[models.Model], fields: Sequence[models.Field[Any, Any]], connection: Any
) -> list[Any]:
    """Return the values of ``fields`` as the database takes them, row by row."""
    plain = _plain_types(type(rows[0]), connection.vendor)
    return [
        _stored(row, field, plain.get(field.attname), connection)
        for row in rows
        for field in fields
    ]


def _stored(row: models.Model, field: Any, kind: type | None, connection: Any) -> Any:
    if kind is not None:
        value = getattr(row, field.attname)
        if value is None or type(value) is kind:
            return value
    return field.get_db_prep_save(field.pre_save(row, add=True), connection)


#: What a field takes as it is: asking Django for it costs more than all the rest of an insert.
_PLAIN: Mapping[str, type] = {
    "BigIntegerField": int,
    "BooleanField": bool,
    "CharField": str,
    "ForeignKey": int,
    "IntegerField": int,
    "PositiveIntegerField": int,
    "PositiveSmallIntegerField": int,
    "TextField": str,
}


@cache
def _plain_types(model: type[models.Model], vendor: str) -> dict[str, type]:
    """Return of which type a field's values are if it gives them as they are, by its name."""
    plain: dict[str, type] = {}
    for field in own_fields(model):
        name = field.get_internal_type()
        if name in _PLAIN:
            plain[field.attname] = _PLAIN[name]
        elif (name, vendor) == ("DateTimeField", "postgresql") and not field.auto_now:
            plain[field.attname] = datetime
    return plain


def note_stored(row: models.Model, row_id: int, connection: Any) -> None:
    """Give a row that was inserted its id."""
    row.pk = row_id
    row._state.adding = False
    row._state.db = connection.alias


@cache
def _insertion(
    model: type[models.Model], vendor: str, count: int, conflict: str
) -> tuple[list[Any], Statement]:
    """Return the fields of an insert of ``count`` rows, and its statement."""
    connection: Any = connections[model._default_manager.db]
    quoted = connection.ops.quote_name
    pk = model._meta.pk
    fields = own_fields(model)
    columns = ", ".join(quoted(field.column) for field in fields)
    group = f"({', '.join(['%s'] * len(fields))})"
    returning, _ = connection.ops.return_insert_columns([pk])
    into = f"INSERT INTO {quoted(model._meta.db_table)} ({columns})"
    sql = f"{into} VALUES {', '.join([group] * count)}{conflict} {returning}"
    return fields, Statement(sql, [OPEN] * len(fields) * count)


def own_fields(model: type[models.Model]) -> list[Any]:
    """Return the fields that an insert gives: the database gives the id."""
    meta = model._meta
    return [field for field in meta.local_concrete_fields if field is not meta.pk]


class _Template:
    """A compiled query, its parameters still open."""

    def __init__(
        self, queryset: models.QuerySet[Any, Any], query: Any = None, lock: str = ""
    ) -> None:
        self.alias = queryset.db
        compiler = (query or queryset.query).get_compiler(using=self.alias)
        sql, params = compiler.as_sql()
        if compiler.connection.features.has_select_for_update:
            sql += lock
        self._statement, params = statement_of(sql, params)
        self._binders = [binder(param) for param in params]
        self._reader = None if query else Reader(queryset, compiler)

    def rows(self, arguments: Mapping[str, Any]) -> list[Any]:
        """Run the query; return what iterating over the queryset would."""
        assert self._reader is not None
        connection = connections[self.alias]
        with connection.cursor() as cursor:
            cursor.execute(*self._bound(arguments, connection))
            found = cursor.fetchall()
        return self._reader.read(found, connection)

    def write(self, arguments: Mapping[str, Any]) -> int:
        connection = connections[self.alias]
        with connection.cursor() as cursor:
            cursor.execute(*self._bound(arguments, connection))
            return int(cursor.rowcount)

    def _bound(self, arguments: Mapping[str, Any], connection: Any) -> tuple[str, list[Any]]:
        values = [bind(arguments, connection) for bind in self._binders]
        return self._statement.text_on(connection), values


def _template(
    templates: dict[Any, _Template],
    arguments: dict[str, Any],
    compiled: Callable[[dict[str, Any]], _Template],
) -> _Template:
    shape = tuple(length(value) for value in arguments.values())
    key = (connections["default"].vendor, shape)
    template = templates.get(key)
    if template is None:
        params = {name: params_of(name, value) for name, value in arguments.items()}
        template = templates[key] = compiled(params)
    return template
