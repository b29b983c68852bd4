"""jobType ``hive``: statements for Hive, in one of two ways that the worker group's set-up decides.

A connection ``hive://…`` is a HiveServer2 that we talk to ourselves (``hs2``). Without one, or with
an address of JDBC, the worker's own client program runs the content as a file (``cli``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tasks_app.executors import params
from tasks_app.executors.base import Execution, Outcome, Output, Stop, failed, note
from tasks_app.executors.hive import cli, hs2
from tasks_app.executors.jobtype import JobType
from tasks_app.executors.queries import PARAMS as COMMON
from tasks_app.executors.queries import Misused, Session, run_statements
from tasks_app.rules.sqltext import Dialect

PARAMS = {**COMMON, "connection": params.connection(is_needed=False)}
_ROWS = COMMON.keys() - {"connection"}
_JDBC = "jdbc:"


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Run the statements by the protocol, or the content by the worker's program."""
    name = execution.extra.get("connection")
    address = None if name is None else execution.credentials[name]
    if address is None or address.startswith(_JDBC):
        try:
            _refuse_rows(execution.extra)
            return cli.execute(execution, output, stop, url=address)
        except Misused as error:
            note(output, str(error))
            return failed(error.reason, str(error), is_final=True)

    def connect() -> Session:
        return hs2.connect(str(name), address, tell=lambda line: note(output, line))

    return run_statements(execution, output, stop, dialect=Dialect.HIVE, connect=connect)


def _refuse_rows(extra: Mapping[str, Any]) -> None:
    if unused := sorted(_ROWS & extra.keys()):
        text = f"params.{unused[0]}: it needs a connection such as hive://host/db;"
        raise Misused("BAD_PARAMS", f"{text} a client program writes rows in its own way")


def together(extra: Mapping[str, Any]) -> str | None:
    """Without a connection it is certain that a program will write the rows."""
    try:
        if "connection" not in extra:
            _refuse_rows(extra)
    except Misused as error:
        return str(error)
    return None


def lack() -> str | None:
    """Tell why neither way is open on this machine."""
    no_client, no_program = hs2.lack(), cli.lack()
    return f"{no_client}, and {no_program}" if no_client and no_program else None


TYPE = JobType(
    execute=execute,
    params=PARAMS,
    together=together,
    is_client=lambda _: True,  # a program is one, a server ends by itself what a lost worker began
    lack=lack,
)
