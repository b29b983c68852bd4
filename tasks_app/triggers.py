"""Database triggers that refuse every status edge that is not listed, on both engines (X-1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from enum import Enum
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper

from tasks_app.rules.states import ALLOWED, ALLOWED_ATTEMPT

# No WHEN: its text would be parsed anew for every update, a function is compiled once by session.
_POSTGRES = """
CREATE OR REPLACE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF {forbidden} THEN
    RAISE EXCEPTION '{table}: edge % to %, fence % to % refused',
      OLD.status, NEW.status, OLD.fence, NEW.fence USING ERRCODE = 'check_violation';
  END IF;
  RETURN NEW;
END $$;
DROP TRIGGER IF EXISTS {name} ON {table};
CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION {name}();
"""

_SQLITE = """
DROP TRIGGER IF EXISTS {name};
CREATE TRIGGER {name} BEFORE UPDATE ON {table} FOR EACH ROW WHEN {forbidden}
BEGIN SELECT RAISE(ABORT, '{table}: edge or fence refused'); END;
"""


def install(connection: BaseDatabaseWrapper) -> None:
    """Create the triggers anew. A migration that rebuilds a table on SQLite calls it again."""
    with connection.cursor() as cursor:
        for statement in _statements(connection.vendor):
            cursor.execute(statement)


def _statements(vendor: str) -> Iterator[str]:
    for table, edges in (("tasks_app_task", ALLOWED), ("tasks_app_attempt", ALLOWED_ATTEMPT)):
        words = {"name": f"{table}_edges", "table": table, "forbidden": _forbidden(edges)}
        if vendor == "postgresql":
            yield _POSTGRES.format(**words)
        else:
            yield from (part.strip() for part in _SQLITE.format(**words).split(";\n", 1))


def _forbidden(edges: Mapping[Any, frozenset[Any]]) -> str:
    """Return the condition of a refused update: an edge not in ``edges``, or a falling fence."""
    allowed = " OR ".join(
        f"(OLD.status = {_literal(source)} AND NEW.status IN ({_literals(targets)}))"
        for source, targets in edges.items()
        if targets
    )
    return f"(NEW.status <> OLD.status AND NOT ({allowed})) OR NEW.fence < OLD.fence"


def _literals(words: Iterable[Enum]) -> str:
    return ", ".join(sorted(map(_literal, words)))


def _literal(word: Enum) -> str:
    return repr(word.value)
