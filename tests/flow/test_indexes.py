"""Each write of a status is an entry in every index of its table, so none is there in vain."""

from __future__ import annotations

from itertools import permutations

import pytest
from django.db import connection, models

from tasks_app.models import Attempt, Event, Task

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", [Task, Attempt, Event])
def test_no_whole_index_is_the_beginning_of_another(model: type[models.Model]) -> None:
    columns = _whole_indexes(model._meta.db_table)

    twice = [
        f"{one} {columns[one]} is the beginning of {other} {columns[other]}"
        for one, other in permutations(columns, 2)
        if columns[one] == columns[other][: len(columns[one])]
    ]

    assert columns
    assert twice == []


def _whole_indexes(table: str) -> dict[str, list[str]]:
    """Return the columns of each index that holds every row."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                "SELECT indexrelid::regclass::text, indkey::text FROM pg_index"
                " WHERE indrelid = %s::regclass AND indpred IS NULL",
                [table],
            )
            return {name: keys.split() for name, keys in cursor.fetchall()}
        cursor.execute("SELECT name FROM pragma_index_list(%s) WHERE NOT partial", [table])
        found: dict[str, list[str]] = {}
        for (name,) in cursor.fetchall():
            cursor.execute("SELECT name FROM pragma_index_info(%s) ORDER BY seqno", [name])
            found[name] = [column for (column,) in cursor.fetchall()]
        return found
