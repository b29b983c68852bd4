"""What the rows of a query become, found out once for a query that is compiled once.

Django's own iterables find out anew with each run where in a row the fields of each object lie,
which for a join takes longer than to make the objects.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

from django.db import models
from django.db.models.query import (
    FlatValuesListIterable,
    ModelIterable,
    ValuesListIterable,
    get_related_populators,
)

_Row = Sequence[Any]


class Reader:
    """Turns rows into what the queryset yields: objects, tuples or single values."""

    def __init__(self, queryset: models.QuerySet[Any, Any], compiler: Any) -> None:
        fields = [column[0] for column in compiler.select[: compiler.col_count]]
        self._converters = list(compiler.get_converters(fields).items())
        self._finish = _finish(queryset, compiler)

    def read(self, rows: Sequence[_Row], connection: Any) -> list[Any]:
        if self._converters:
            rows = [self._converted(list(row), connection) for row in rows]
        return [self._finish(row) for row in rows]

    def _converted(self, row: list[Any], connection: Any) -> _Row:
        for position, (converters, expression) in self._converters:
            for convert in converters:
                row[position] = convert(row[position], expression, connection)
        return row


def _finish(queryset: models.QuerySet[Any, Any], compiler: Any) -> Callable[[_Row], Any]:
    kind = queryset._iterable_class
    if kind is ModelIterable:
        return _builder(queryset.db, compiler)
    if kind is ValuesListIterable:
        return tuple
    if kind is FlatValuesListIterable:
        return itemgetter(0)
    raise TypeError(f"a prepared query cannot yield what {kind.__name__} does")


def _builder(alias: str, compiler: Any) -> Callable[[_Row], models.Model]:
    """Return what makes an object of a row, with its related and annotated ones."""
    info = compiler.klass_info
    columns = slice(info["select_fields"][0], info["select_fields"][-1] + 1)
    names = [column[0].target.attname for column in compiler.select[columns]]
    populators = get_related_populators(info, compiler.select, alias)  # type: ignore[call-arg]
    annotations = list((compiler.annotation_col_map or {}).items())

    def build(row: _Row) -> models.Model:
        found: models.Model = info["model"].from_db(alias, names, row[columns])
        for populator in populators:
            populator.populate(row, found)
        for name, position in annotations:
            setattr(found, name, row[position])
        return found

    return build
