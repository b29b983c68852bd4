"""Statements one after the other in one session of a back end: what sql, presto and hive share.

Each statement has a line in LOG when it starts and one with its time when it is over; what it
returns goes to RESULT. The first that fails ends the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any, Protocol

from sentinel_project.clock import monotonic
from tasks_app.executors import params, rows
from tasks_app.executors.attended import attend
from tasks_app.executors.base import (
    Ending,
    Execution,
    Outcome,
    Output,
    Stop,
    StopReason,
    failed,
    note,
    stopped,
)
from tasks_app.rules.sqltext import Dialect, Piece, statements

_SHOWN = 200
_MOST_MESSAGE = 4000
PARAMS = {
    "connection": params.connection(),
    "format": params.word("tsv", "json"),
    "nullAs": params.text(high=64),
    "maxRows": params.integer(-1, 10**12),
}


class BackendError(Exception):
    """The back end refused or failed; the message is its own."""


class Misused(Exception):
    """What the job names cannot be used for this, so no retry helps. ``reason`` is its code."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


Rows = Generator[Sequence[object], None, None]


def _none() -> Rows:
    yield from ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What one statement returned. ``columns`` None: no rows; ``touched``: so many it changed.

    ``rows`` are closed when enough of them were seen.
    """

    columns: Sequence[str] | None = None
    rows: Rows = field(default_factory=_none)
    touched: int | None = None


class Session(Protocol):
    """One session of a back end. All but ``cancel`` is called by one thread.

    Raises ``BackendError``. ``close`` is called on every path and undoes what was not finished.
    """

    def answers(self, piece: Piece) -> Iterable[Answer]: ...

    def notes(self) -> Iterable[str]: ...

    def finish(self) -> None: ...

    def cancel(self) -> None: ...

    def close(self) -> None: ...


def run_statements(
    execution: Execution,
    output: Output,
    stop: Stop,
    *,
    dialect: Dialect,
    connect: Callable[[], Session],
) -> Outcome:
    """Run the statements of the content in one session that ``connect`` opens."""
    found = statements(execution.content, dialect)
    form = form_of(execution.extra)
    return attend(_Statements(found, form, connect, output), execution, output, stop)


def form_of(extra: Mapping[str, Any]) -> rows.Format:
    most = extra.get("maxRows", 10_000)
    return rows.Format(
        is_json=extra.get("format") == "json",
        null=extra.get("nullAs", rows.NULL),
        most=None if most < 0 else most,
    )


@dataclass(slots=True)
class _Statements:
    """The work that ``attend`` looks after."""

    found: list[Piece]
    form: rows.Format
    connect: Callable[[], Session]
    output: Output
    session: Session | None = None
    cancelled: threading.Event = field(default_factory=threading.Event)

    def cancel(self) -> None:
        self.cancelled.set()
        if self.session is not None:
            self.session.cancel()

    def run(self) -> Outcome:
        try:
            with closing(self.connect()) as self.session:
                return self._ran(self.session)
        except Misused as error:
            note(self.output, str(error))
            return failed(error.reason, str(error), is_final=True)
        except BackendError as error:
            text = str(error).strip()[:_MOST_MESSAGE]
            note(self.output, text)
            return failed("BACKEND", text)

    def _ran(self, session: Session) -> Outcome:
        for number, piece in enumerate(self.found, start=1):
            if self.cancelled.is_set():
                return stopped(StopReason.KILL)  # what is told instead is for ``attend`` to say
            self._run_one(session, piece, f"statement {number} of {len(self.found)}")
        session.finish()
        plural = "" if len(self.found) == 1 else "s"
        return Outcome(Ending.SUCCESS, None, None, f"{len(self.found)} statement{plural} done.")

    def _run_one(self, session: Session, piece: Piece, name: str) -> None:
        note(self.output, f"{name}, line {piece.line}: {_shown(piece.statement)}")
        started = monotonic()
        try:
            told = [self._written(answer) for answer in session.answers(piece)]
        except BackendError as error:
            place = f"Statement {name.removeprefix('statement ')}, line {piece.line}"
            raise BackendError(f"{place}: {error}") from None
        finally:
            for each in session.notes():
                note(self.output, each)
        took = monotonic() - started
        note(self.output, f"{name}: {', '.join(told) or 'done'} in {took:.3f} s")

    def _written(self, answer: Answer) -> str:
        if answer.columns is None:
            return "done" if answer.touched is None else f"{answer.touched} rows changed"
        with closing(answer.rows) as found:
            wanted = self._uncancelled(found)
            count, is_cut = rows.write(answer.columns, wanted, self.form, self.output.result)
        if is_cut:
            return f"cut after {count} rows, there are more (maxRows is {self.form.most})"
        return f"{count} rows"

    def _uncancelled(self, found: Iterator[Sequence[object]]) -> Iterator[Sequence[object]]:
        for row in found:
            if self.cancelled.is_set():
                raise BackendError("cancelled")
            yield row


def _shown(statement: str) -> str:
    line = " ".join(statement[: 4 * _SHOWN].split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"
