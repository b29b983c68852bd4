"""What stands for the values of a query that is compiled once, and finds them when it runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from django.db import models
from django.db.models.expressions import Expression

from sentinel_project.statements import OPEN, Statement

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
        if type(value) is not int and isinstance(value, datetime):
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


def is_fixed(value: object) -> bool:
    return value is None or hasattr(value, "resolve_expression")


def statement_of(sql: str, params: Sequence[Any]) -> tuple[Statement, list[Any]]:
    """Return the statement of a compiled query, and its parameters that are open."""
    open_params = [param for param in params if not _is_fixed_value(param)]
    return Statement(sql, [param if _is_fixed_value(param) else OPEN for param in params]), (
        open_params
    )


def _is_fixed_value(param: object) -> bool:
    return type(param) in (int, str, bool) and param not in Item.issued


def binder(param: object) -> Callable[[Mapping[str, Any], Any], Any]:
    """Return what finds the value of a parameter among the arguments."""
    if isinstance(param, Param):
        return param.value
    if isinstance(param, int) and param in Item.issued:
        name, index = Item.issued[param]
        return lambda arguments, _: int(_item(arguments[name], index))
    return lambda *_: param


#: Single values, told apart at once: whether something is a sequence takes long to find out.
_SINGLE = frozenset({bool, datetime, int, str})


def length(value: object) -> int:
    """Return the padded length of a list, 0 for a single value, -1 for none."""
    if type(value) in _SINGLE:
        return 0
    if isinstance(value, Sequence) and not isinstance(value, str):
        return 1 << (len(value) - 1).bit_length()
    return -1 if value is None else 0


def params_of(name: str, value: object) -> Any:
    if isinstance(value, Sequence) and not isinstance(value, str):
        if isinstance(value[0], int):
            return [Item.of(name, index) for index in range(length(value))]
        return [Param(name, _field(value[0]), index) for index in range(length(value))]
    return None if value is None else Param(name, _field(value))


def _field(value: object) -> models.Field[Any, Any]:
    for kind, field in ((bool, "bool"), (int, "int"), (str, "str"), (datetime, "datetime")):
        if isinstance(value, kind):
            return _FIELDS[field]
    raise TypeError(f"a prepared query cannot take {value!r}")


def is_empty(arguments: dict[str, Any]) -> bool:
    return any(
        isinstance(value, Sequence) and not value
        for value in arguments.values()
        if type(value) not in _SINGLE and not isinstance(value, str)
    )
