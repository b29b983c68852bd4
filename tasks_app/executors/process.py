"""Runs a command to its end: waits, times out, kills, sweeps, and says how it went (X-21, X-23).

A command that ended while processes it had started live on is judged by its own exit code. The
others get half a second to end by themselves (the ``tee`` of a process substitution does), then
SIGTERM, then SIGKILL, and a line in LOG says so.
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sentinel_project.clock import monotonic
from tasks_app.executors.base import (
    Ending,
    Execution,
    Fenced,
    Outcome,
    Output,
    Stop,
    StopReason,
    failed,
    note,
    stopped,
    timed_out,
)
from tasks_app.executors.containment import choose
from tasks_app.executors.environment import root_refusal
from tasks_app.executors.streams import Streams
from tasks_app.executors.tree import NotStarted, Tree

_POLL_SECONDS = 0.2
_LINGER_SECONDS = 0.5
_SWEEP_GRACE_SECONDS = 2.0


def run_command(
    execution: Execution,
    argv: Sequence[str],
    output: Output,
    stop: Stop,
    *,
    env: Mapping[str, str],
    cwd: Path,
) -> Outcome:
    """Run ``argv`` in ``cwd`` with exactly ``env``; when this returns, its tree is gone."""
    refusal = root_refusal(os.geteuid(), os.environ)
    if refusal is not None:
        return failed("ROOT_REFUSED", refusal)
    try:
        tree = Tree(
            argv,
            env=env,
            cwd=cwd,
            server=choose().server,
            words=_words(execution),
            may_start=lambda: stop.reason is None,
        )
    except NotStarted:
        assert stop.reason is not None
        return stopped(stop.reason)
    except OSError as error:
        return failed("SPAWN_FAILED", f"{argv[0]} could not be started: {error.strerror}.")
    return _attend(tree, execution, output, stop)


def _words(execution: Execution) -> dict[str, float]:
    """Return what the first process of the tree is told."""
    words: dict[str, float] = dict(execution.limits.words())
    if execution.unattended is not None:
        words["unattended"] = execution.unattended.total_seconds()
    return words


def _attend(tree: Tree, execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Stay with ``tree`` until it is gone and all it printed is kept."""
    with closing(tree):
        streams = Streams(tree.stdout, tree.stderr, output, stop)
        try:
            outcome = _Run(tree, streams, execution, output, stop).outcome()
        finally:
            tree.close()  # first, for the pipes end when the tree does
            is_complete = streams.finish()
    streams.check()
    if not is_complete:
        _tell(output, stop, "the output ends here, but a process elsewhere still holds its pipe")
    return outcome


_Cause = StopReason | Literal["TIMEOUT"]


@dataclass(slots=True)
class _Run:
    """One tree, from its start to the outcome."""

    tree: Tree
    streams: Streams
    execution: Execution
    output: Output
    stop: Stop
    renewals: int = 0

    def outcome(self) -> Outcome:
        timeout = self.execution.timeout
        deadline = math.inf if timeout is None else monotonic() + timeout.total_seconds()
        while self.tree.is_running:
            if self.stop.reason is not None:
                return self._ended_early(self.stop.reason)
            if timeout is not None and monotonic() >= deadline:
                return self._ended_early("TIMEOUT")
            self._wait(deadline)
        return self._ended()

    def _wait(self, deadline: float) -> None:
        """Wait for news, but not so long that a stop or an error would go unnoticed."""
        if self.stop.renewals != self.renewals:
            self.renewals = self.stop.renewals
            self.tree.renew()
        self.tree.wait(min(_POLL_SECONDS, deadline - monotonic()))
        self.streams.check()

    def _ended_early(self, cause: _Cause) -> Outcome:
        """SIGTERM to all, grace, SIGKILL, until nothing is left; FENCED has no grace."""
        is_gone = self._terminated(cause) or self.tree.kill()
        code = _shell_code(self.tree.exit_code)
        if not is_gone:
            return _unconfirmed(cause, code)
        if cause == "TIMEOUT":
            assert self.execution.timeout is not None
            return timed_out(self.execution.timeout, code)
        return stopped(self.stop.reason or cause, code)

    def _terminated(self, cause: _Cause) -> bool:
        """Ask politely; tell whether the tree is gone when the grace is over."""
        if self._is_fenced():
            return False
        grace = self.execution.kill_grace.total_seconds()
        _tell(self.output, self.stop, f"{cause}: SIGTERM to all, SIGKILL after {grace:g} s")
        self.tree.terminate()
        deadline = monotonic() + grace
        while not (self.tree.is_over or self._is_fenced() or monotonic() >= deadline):
            self._wait(deadline)
        return self.tree.is_gone

    def _is_fenced(self) -> bool:
        return self.stop.reason is StopReason.FENCED

    def _ended(self) -> Outcome:
        """Return how the command ended by itself, after sweeping up what it left."""
        if self.tree.spawn_errno is not None:
            why = os.strerror(self.tree.spawn_errno)
            return failed("SPAWN_FAILED", f"The command could not be started: {why}.")
        is_gone = self._swept()
        if self.tree.ended_for is not None:
            return self._ended_by_guard(self.tree.ended_for)
        if self.tree.exit_code is None:
            return self._lost()
        return _judged(self.tree.exit_code, is_gone=is_gone)

    def _swept(self) -> bool:
        if self.tree.wait_until_gone(_LINGER_SECONDS):
            return True
        if self.tree.exit_code is not None:
            text = "the command ended, processes it had started did not: ending them"
            _tell(self.output, self.stop, text)
            self.tree.terminate()
        return self.tree.wait_until_gone(_SWEEP_GRACE_SECONDS) or self.tree.kill()

    def _ended_by_guard(self, cause: str) -> Outcome:
        """Say why the first process ended the tree: over a limit, or for want of its worker."""
        if cause == "unattended":
            return stopped(StopReason.FENCED)
        most = getattr(self.execution.limits, cause)
        text = f"Ended for using more than its limit: {cause} is {most} in all."
        _tell(self.output, self.stop, text)
        return failed("LIMIT", text)

    def _lost(self) -> Outcome:
        if self.tree.is_started:
            text = "The process that guards the tree was killed; how the command ended is unknown."
            return failed("GUARD_LOST", text)
        return failed("SPAWN_FAILED", "The command could not be started; LOG may say why.")


def _judged(exit_code: int, *, is_gone: bool) -> Outcome:
    code = _shell_code(exit_code)
    reason, message = None, f"Ended with exit code {exit_code}."
    if exit_code < 0:
        reason, message = "SIGNAL", f"Ended by {_signal_name(-exit_code)}."
    elif exit_code > 0:
        reason = "EXIT_CODE"
    if not is_gone:
        reason, message = "KILL_UNCONFIRMED", f"{message} {_LEFT}"
    return Outcome(Ending.FAILED if exit_code else Ending.SUCCESS, code, reason, message)


_LEFT = "Some of its processes could not be ended."


def _unconfirmed(cause: _Cause, code: int | None) -> Outcome:
    """Say that the tree may live (D-53). It must not be handed back, so it is no interruption."""
    ending = Ending.KILLED if cause is StopReason.KILL else Ending.FAILED
    return Outcome(ending, code, "KILL_UNCONFIRMED", f"Ended for {cause}. {_LEFT}")


def _shell_code(exit_code: int | None) -> int | None:
    """Return the code a shell would report: 128 and the signal's number for a signal."""
    return 128 - exit_code if exit_code is not None and exit_code < 0 else exit_code


def _signal_name(number: int) -> str:
    names = {known.value: known.name for known in signal.Signals}
    return names.get(number, f"signal {number}")


def _tell(output: Output, stop: Stop, text: str) -> None:
    try:
        note(output, text)
    except Fenced:
        stop.request(StopReason.FENCED)
