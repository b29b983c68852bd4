"""Look-ups that PostgreSQL must be told in other words."""

from __future__ import annotations

from typing import Any

from django.db.models import F, QuerySet
from django.db.models.lookups import In


class Among(In):
    """As ``in`` a query that depends on nothing outside of it, and is asked once.

    PostgreSQL puts the costs of a hashed subquery on each row that a join comes to, and so would
    rather read a whole table than look one row up; an array is computed once in its eyes too.
    """

    def __init__(self, column: str, rows: QuerySet[Any, Any]) -> None:
        super().__init__(F(column), rows.query)

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, Any]:
        left, left_params = self.process_lhs(compiler, connection)
        right, right_params = self.process_rhs(compiler, connection)
        return f"{left} = ANY (ARRAY{right})", (*left_params, *right_params)
