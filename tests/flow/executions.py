"""What the executor tests share: executions, an output that keeps, runs in a thread, a tiny worker.

As a program (``python -m tests.flow.executions ROOT GRACE [KILL_AFTER [UNATTENDED]]``) it is a
worker that can be killed: it runs the script on its standard input and prints how that ended.
"""

from __future__ import annotations

import sys
import threading
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import psutil
import pytest

from jobs.rules.enums import ContentType
from sentinel_project.clock import monotonic
from tasks_app.executors import executor_for
from tasks_app.executors.base import Execution, Outcome, Output, Stop, StopReason
from tasks_app.executors.containment import choose

SHANGHAI = ZoneInfo("Asia/Shanghai")
DUE = datetime(2026, 3, 14, 9, 30, tzinfo=SHANGHAI)


#: From the best to the one that is always there.
CONTAINMENTS = ("pid-namespace", "cgroup", "process-group")


def contain_by(name: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have runs kept together by ``name``; the test is skipped where that cannot be had."""
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    monkeypatch.setenv("SENTINEL_CONTAINMENT", name)
    if choose().name != name:
        pytest.skip(f"no {name} can be made here")
    return name


def make_execution(content: str = "", *, root: Path, **changes: Any) -> Execution:
    """Return a shell execution that differs from a plain one in ``changes``."""
    plain: dict[str, Any] = {
        "job_id": 7,
        "task_id": 11,
        "attempt_number": 2,
        "fence": 5,
        "job_type": "shell",
        "content": content,
        "content_type": ContentType.TEXT,
        "extra": {},
        "schedule_time": DUE,
        "data_time": DUE - timedelta(days=1),
        "timeout": None,
        "kill_grace": timedelta(seconds=30),
        "work_root": root,
    }
    return Execution(**{**plain, **changes})


class Kept:
    """An output that keeps everything."""

    def __init__(self) -> None:
        self.result_bytes = b""
        self.log_bytes = b""

    def result(self, data: bytes) -> None:
        self.result_bytes += data

    def log(self, data: bytes) -> None:
        self.log_bytes += data


class Run:
    """An execution that runs in a thread of its own, as on a worker."""

    def __init__(self, execution: Execution, output: Output | None = None) -> None:
        self.kept = Kept()
        self._execution = execution
        self._output = output or self.kept
        self._stop = Stop()
        self._outcomes: list[Outcome] = []
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def stop(self, reason: StopReason) -> None:
        self._stop.request(reason)

    def is_over(self) -> bool:
        return not self._thread.is_alive()

    def outcome(self, within: float = 30) -> Outcome:
        self._thread.join(within)
        assert self._outcomes, f"no outcome within {within} seconds"
        return self._outcomes[0]

    def _work(self) -> None:
        execute = executor_for(self._execution.job_type)
        self._outcomes.append(execute(self._execution, self._output, self._stop))


def new_marker() -> str:
    """Return an argument for ``sleep`` that no other process on this machine has."""
    return f"300.{uuid.uuid4().int}"


def living(marker: str) -> list[psutil.Process]:
    """Return the living processes with ``marker`` among their arguments."""
    found = []
    for process in psutil.process_iter():
        try:
            if marker in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def eventually(condition: Callable[[], bool], within: float = 15) -> bool:
    """Wait until ``condition`` holds; tell whether it did in time."""
    deadline = monotonic() + within
    pause = threading.Event()
    while not (holds := condition()) and monotonic() < deadline:
        pause.wait(0.02)
    return holds


def main() -> None:
    """Run a script as a worker would."""
    root, grace = Path(sys.argv[1]), timedelta(seconds=float(sys.argv[2]))
    kill_after, unattended = (*sys.argv[3:], "", "")[:2]
    execution = make_execution(
        sys.stdin.read(),
        root=root,
        kill_grace=grace,
        unattended=timedelta(seconds=float(unattended)) if unattended else None,
    )
    stop = Stop()
    if kill_after:
        threading.Timer(float(kill_after), stop.request, [StopReason.KILL]).start()
    outcome = executor_for("shell")(execution, Kept(), stop)
    sys.stdout.write(f"{outcome.ending} {outcome.reason}")


if __name__ == "__main__":
    main()
