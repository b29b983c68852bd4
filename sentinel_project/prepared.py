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
from django.db.models.expressions import Expression
from django.db.models.sql import UpdateQuery

from sentinel_project.rowreader import Reader
from sentinel_project.statements import OPEN, Statement

P = ParamSpec("P")
R = TypeVar("R")

_FIELDS: dict[str, models.Field[Any, Any]] = {
    "bool": models.BooleanField(),
    "datetime": models.DateTimeField(),
    "int": models.BigIntegerField(),
    "str": models.TextField(),
}


class Param(Expression):
    """A value that is bound when the query runs."""

    def __init__(self, name: str, field: models.Field[Any, Any], index: int | None = None) -> None:
        super().__init__(output_field=field)
        self.name = name
        self.index = index

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        return "%s", [self]

    def value(self, arguments: Mapping[str, Any], connection: Any) -> Any:
        given = arguments[self.name]
        value = given if self.index is None else _item(given, self.index)
        if isinstance(value, datetime):
            return connection.ops.adapt_datetimefield_value(value)
        return value


class Item(int):
    """Stands for one element of a list of ids while the query is compiled.

    Look-ups in a list of related ids take nothing but numbers, so this is one that nobody uses.
    """

    _FIRST = 0x5E47_1E15_0000_0000
    issued: dict[int, tuple[str, int]] = {}

    @classmethod
    def of(cls, name: str, index: int) -> Item:
        number = cls._FIRST + len(cls.issued)
        cls.issued[number] = (name, index)
        return cls(number)


def _item(given: Sequence[Any], index: int) -> Any:
    """Return an element of a list that is padded with its last one."""
    return given[min(index, len(given) - 1)]


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
        if _is_empty(arguments):
            return []
        template = _template(
            templates, arguments, lambda params: _Template(cast(Any, build)(**params), lock=lock)
        )
        return template.rows(arguments)

    return ask


def write(model: type[models.Model], where: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """Update the rows of ``model`` that ``where`` names; the compiled statement is kept by shape.

    ``where`` and ``values`` are as of ``filter`` and ``update``; expressions among the values are
    part of the shape, so they must not hold anything that changes from call to call.
    """
    arguments = {f"where_{name}": value for name, value in where.items()}
    arguments |= {f"set_{name}": value for name, value in values.items() if not _is_fixed(value)}
    if _is_empty(arguments):
        return 0
    fixed = {name: value for name, value in values.items() if _is_fixed(value)}

    def compiled(params: dict[str, Any]) -> _Template:
        queryset = model._default_manager.filter(
            **{name: params[f"where_{name}"] for name in where}
        )
        query: Any = queryset.query.chain(UpdateQuery)
        query.add_update_values(
            {name: fixed[name] if name in fixed else params[f"set_{name}"] for name in values}
        )
        return _Template(queryset, query)

    kind = (model, tuple(where), tuple((name, fixed.get(name, ...)) for name in values))
    return _template(_written.setdefault(kind, {}), arguments, compiled).write(arguments)


_written: dict[Any, dict[Any, _Template]] = {}


def insert(*rows: models.Model) -> None:
    """Insert new rows of one model in one statement, and give them their ids."""
    _insert(rows)


def insert_if_new(row: models.Model) -> bool:
    """Insert a row and give it its id; False: a unique constraint has one like it already.

    It waits for whoever is about to insert that one. The transaction is as good as before.
    """
    return bool(_insert([row], " ON CONFLICT DO NOTHING"))


def _insert(rows: Sequence[models.Model], conflict: str = "") -> int:
    model = type(rows[0])
    connection: Any = connections[model._default_manager.db]
    fields, statement = _insertion(model, connection.vendor, len(rows), conflict)
    bound = [
        field.get_db_prep_save(field.pre_save(row, add=True), connection)
        for row in rows
        for field in fields
    ]
    sql = statement.text_on(connection)
    with connection.cursor() as cursor:
        cursor.execute(sql, bound)
        found = cursor.fetchall()
    # Both engines return the rows in the order in which they were given.
    for row, (row_id,) in zip(rows, found, strict=not conflict):
        row.pk = row_id
        row._state.adding = False
        row._state.db = connection.alias
    return len(found)


@cache
def _insertion(
    model: type[models.Model], vendor: str, count: int, conflict: str
) -> tuple[list[Any], Statement]:
    """Return the fields of an insert of ``count`` rows, and its statement."""
    connection: Any = connections[model._default_manager.db]
    quoted = connection.ops.quote_name
    pk = model._meta.pk
    fields = [field for field in model._meta.local_concrete_fields if field is not pk]
    columns = ", ".join(quoted(field.column) for field in fields)
    group = f"({', '.join(['%s'] * len(fields))})"
    returning, _ = connection.ops.return_insert_columns([pk])
    into = f"INSERT INTO {quoted(model._meta.db_table)} ({columns})"
    sql = f"{into} VALUES {', '.join([group] * count)}{conflict} {returning}"
    return fields, Statement(sql, [OPEN] * len(fields) * count)


def _is_fixed(value: object) -> bool:
    return value is None or hasattr(value, "resolve_expression")


def _statement(sql: str, params: Sequence[Any]) -> tuple[Statement, list[Any]]:
    """Return the statement of a compiled query, and its parameters that are open."""
    open_params = [param for param in params if not _is_fixed_value(param)]
    return Statement(sql, [param if _is_fixed_value(param) else OPEN for param in params]), (
        open_params
    )


def _is_fixed_value(param: object) -> bool:
    return type(param) in (int, str, bool) and param not in Item.issued


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
        self._statement, params = _statement(sql, params)
        self._binders = [_binder(param) for param in params]
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


def _binder(param: object) -> Callable[[Mapping[str, Any], Any], Any]:
    """Return what finds the value of a parameter among the arguments."""
    if isinstance(param, Param):
        return param.value
    if isinstance(param, int) and param in Item.issued:
        name, index = Item.issued[param]
        return lambda arguments, _: int(_item(arguments[name], index))
    return lambda *_: param


def _template(
    templates: dict[Any, _Template],
    arguments: dict[str, Any],
    compiled: Callable[[dict[str, Any]], _Template],
) -> _Template:
    shape = tuple(_length(value) for value in arguments.values())
    key = (connections["default"].vendor, shape)
    template = templates.get(key)
    if template is None:
        params = {name: _params(name, value) for name, value in arguments.items()}
        template = templates[key] = compiled(params)
    return template


def _length(value: object) -> int:
    """Return the padded length of a list, 0 for a single value, -1 for none."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return 1 << (len(value) - 1).bit_length()
    return -1 if value is None else 0


def _params(name: str, value: object) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        if isinstance(value[0], int):
            return [Item.of(name, index) for index in range(_length(value))]
        return [Param(name, _field(value[0]), index) for index in range(_length(value))]
    return None if value is None else Param(name, _field(value))


def _field(value: object) -> models.Field[Any, Any]:
    for kind, field in ((bool, "bool"), (int, "int"), (str, "str"), (datetime, "datetime")):
        if isinstance(value, kind):
            return _FIELDS[field]
    raise TypeError(f"a prepared query cannot take {value!r}")


def _is_empty(arguments: dict[str, Any]) -> bool:
    return any(
        isinstance(value, Sequence) and not value
        for value in arguments.values()
        if not isinstance(value, str)
    )
