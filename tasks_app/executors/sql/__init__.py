"""jobType ``sql``: statements for the database of a named connection.

The scheme of the connection's address says which database it is.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from tasks_app.executors import params
from tasks_app.executors.base import Execution, Outcome, Output, Stop
from tasks_app.executors.jobtype import JobType
from tasks_app.executors.queries import PARAMS as COMMON
from tasks_app.executors.queries import Misused, Session, run_statements
from tasks_app.executors.sql import mysql, postgres, sqlite
from tasks_app.rules.sqltext import Dialect

Connect = Callable[[str, bool], Session]

PARAMS = {**COMMON, "transaction": params.flag()}
_KNOWN: dict[str, tuple[Dialect, Connect]] = {
    **dict.fromkeys(("postgres", "postgresql"), (Dialect.POSTGRES, postgres.connect)),
    **dict.fromkeys(("mysql", "mariadb"), (Dialect.MYSQL, mysql.connect)),
    "sqlite": (Dialect.SQLITE, sqlite.connect),
}


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Run the statements, each by itself or, with ``transaction``, all or none."""
    name = execution.extra["connection"]
    address = execution.credentials[name]
    scheme = address.partition("://")[0]
    dialect, connect = _KNOWN.get(scheme, (Dialect.POSTGRES, None))
    is_one = bool(execution.extra.get("transaction", False))

    def opened() -> Session:
        if connect is None:
            text = f"params.connection: {name} is an address of {scheme[:32]}, not of one of"
            raise Misused("BAD_PARAMS", f"{text} {', '.join(_KNOWN)}.")
        _check(name, address)
        return connect(address, is_one)

    return run_statements(execution, output, stop, dialect=dialect, connect=opened)


def _check(name: str, address: str) -> None:
    try:
        urlsplit(address).port  # noqa: B018 (reading it is the check)
    except ValueError:
        # Not in the library's words: a password with a / in it is a port to it.
        text = f"params.connection: the address of {name} cannot be read"
        raise Misused("BAD_PARAMS", text) from None


TYPE = JobType(execute=execute, params=PARAMS, is_in_process=True)
