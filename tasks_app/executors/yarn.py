"""Runs a client of a YARN cluster: what it started there ends with it (X-21).

The ids of applications are found in LOG while the client runs. When it ends in any other way than
well, its process tree is ended first, so that it starts nothing more, and then each application.
What cannot be proved gone is said, so that no other attempt begins beside it (D-53).
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from sentinel_project import clock
from tasks_app.executors import yarn_ending
from tasks_app.executors.base import (
    Ending,
    Execution,
    Fenced,
    Outcome,
    Output,
    Stop,
    StopReason,
    note,
)
from tasks_app.executors.process import run_command

logger = logging.getLogger(__name__)

# Clients tell the id of a MapReduce job before they submit it, that of its application afterwards.
_ID = re.compile(rb"(?:application_([0-9]{1,20})|job_([0-9]{13}))_([0-9]{1,12})")
_LONGEST = 64
_MOST = 1000
_TAIL = 64 * 1024
_MOST_WORDS = 1000
_ERROR = re.compile(r"(?:[\w$]+\.)*[\w$]*(?:Error|Exception)(?:: .*)?")
_WORDS = re.compile(
    rf"Exception in thread .*|Caused by: .*|FAILED: .*|{_ERROR.pattern}"
    r"|.* (?:ERROR|FATAL) [\w.$]+: .*|.*\bfailed with state .*"
)
_NOT_BEGUN = Outcome(Ending.FAILED, message="Not begun, for an earlier attempt was lost.")
_TRACEBACK = "Traceback (most recent call last):"


class Applications:
    """Ids of applications in what is fed piece by piece, also where a piece ends inside one."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}
        self._rest = b""

    def feed(self, data: bytes, *, is_last: bool = False) -> None:
        data = self._rest + data
        self._rest = data[-_LONGEST:]
        if b"application_" not in data and b"job_" not in data:
            return  # most of LOG, and faster to tell so
        for match in _ID.finditer(data):
            if match.end() == len(data) and not is_last:
                return  # its number may go on in the next piece
            name = f"application_{(match[1] or match[2]).decode()}_{match[3].decode()}"
            self._found.setdefault(name)
            if len(self._found) > _MOST:
                del self._found[next(iter(self._found))]  # who started so many has ended the first

    def all(self) -> list[str]:
        """Return all of them, the newest first; nothing will follow."""
        self.feed(b"", is_last=True)
        return list(reversed(self._found))


class Heard:
    """An output that passes everything on and remembers what LOG told.

    Once the attempt is not ours any more nothing is passed on, but what is told still counts.
    """

    def __init__(self, output: Output, stop: Stop) -> None:
        self._output = output
        self._stop = stop
        self._lock = threading.Lock()
        self._applications = Applications()
        self._tail, self._result_tail = bytearray(), bytearray()
        self._is_deaf = False

    def result(self, data: bytes) -> None:
        with self._lock:
            _keep(self._result_tail, data)
        self._pass_on(self._output.result, data)

    def log(self, data: bytes) -> None:
        with self._lock:
            self._applications.feed(data)
            _keep(self._tail, data)
        self._pass_on(self._output.log, data)

    def applications(self, since: datetime) -> dict[str, datetime]:
        """Return all applications of a run that began at ``since``; LOG is at its end."""
        with self._lock:
            return dict.fromkeys(self._applications.all(), since)

    def words(self) -> str:
        """Return the line that says best why the client failed, or nothing.

        What a Python program of Spark says goes to RESULT, for spark-submit puts its two outputs
        into one.
        """
        _, is_told, traceback = _text(self._result_tail).rpartition(_TRACEBACK)
        found = [line for line in traceback.splitlines() if is_told and _ERROR.fullmatch(line)]
        lines = reversed(_text(self._tail).splitlines())
        found += (line for line in lines if _WORDS.fullmatch(line))
        return found[0].strip()[:_MOST_WORDS] if found else ""

    def _pass_on(self, deliver: Callable[[bytes], None], data: bytes) -> None:
        if self._is_deaf:
            return
        try:
            deliver(data)
        except Fenced:
            self._is_deaf = True
            self._stop.request(StopReason.FENCED)


def _keep(tail: bytearray, data: bytes) -> None:
    """Append, and drop the beginning only now and then: pieces may be small and many."""
    tail += data
    if len(tail) > 2 * _TAIL:
        del tail[:-_TAIL]


def _text(data: bytearray) -> str:
    return data.decode(errors="replace")


def run_client(
    execution: Execution,
    argv: Sequence[str],
    output: Output,
    stop: Stop,
    *,
    env: Mapping[str, str],
    cwd: Path,
    tag: str = "",
) -> Outcome:
    """Run ``argv`` as ``run_command`` does, and end its applications unless it ended well.

    These are the ones that LOG tells, and the ones with the ``tag``, which the client was told.

    What earlier attempts have left on the cluster is ended before, for nobody was there to do it.
    """
    heard, since = Heard(output, stop), clock.now()

    def tell(text: str) -> None:
        note(heard, text)

    if left := yarn_ending.end(execution.left_behind, execution, cwd, tell):
        return _unconfirmed(_NOT_BEGUN, left)
    try:
        outcome = run_command(execution, argv, heard, stop, env=env, cwd=cwd)
    except Exception:
        yarn_ending.end(heard.applications(since), execution, cwd, _log, tag=tag)
        raise
    if outcome.ending is Ending.SUCCESS:
        return outcome
    told_its_end = outcome.reason == "EXIT_CODE"
    if told_its_end and (words := heard.words()):
        tell(words)
        outcome = replace(outcome, message=f"{outcome.message.removesuffix('.')}: {words}")
    left = yarn_ending.end(
        heard.applications(since), execution, cwd, tell, tag=tag, is_tag_sure=not told_its_end
    )
    if not left or (told_its_end and not yarn_ending.is_possible()):
        return outcome  # where nobody can look, what the client told must do
    return _unconfirmed(outcome, left)


def _log(text: str) -> None:
    """Tell our own log what LOG cannot take any more."""
    logger.warning("application.left", extra={"text": text})


def _unconfirmed(outcome: Outcome, left: Sequence[str]) -> Outcome:
    """Say that applications may live. They must not be handed back, so it is no interruption."""
    ending = Ending.KILLED if outcome.ending is Ending.KILLED else Ending.FAILED
    listed = ", ".join(left[:5]) + (f" and {len(left) - 5} more" if len(left) > 5 else "")
    text = f"{outcome.message} On the cluster may still run: {listed}."
    return Outcome(ending, outcome.exit_code, "KILL_UNCONFIRMED", text)
