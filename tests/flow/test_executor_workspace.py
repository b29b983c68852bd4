"""Directories that a dead worker left are told from those in use, and removed (X-20)."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tasks_app.executors.base import StopReason
from tasks_app.executors.workspace import (
    sweep_orphans,
    sweep_workspaces,
    workspace,
    write_private,
)
from tasks_app.guard.cgroup import abandoned, own_folder
from tests.flow.executions import Run, contain_by, eventually, living, make_execution, new_marker

DYING = """
import os, pathlib, signal, sys
from tasks_app.executors.workspace import workspace
from tests.flow.executions import make_execution
with workspace(make_execution(root=pathlib.Path(sys.argv[1]))) as home:
    (home / "secret").touch()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_worker_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "unrelated").mkdir()
    died = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], check=False)
    assert (died.returncode, len(list(tmp_path.glob("task-*")))) == (-signal.SIGKILL, 1)

    with workspace(make_execution(root=tmp_path)) as ours:
        removed = sweep_workspaces(tmp_path)

        assert removed == 1
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([ours.name, "unrelated"])


def test_two_runs_of_one_attempt_never_share_a_directory(tmp_path: Path) -> None:
    execution = make_execution(root=tmp_path / "made" / "on demand")

    with workspace(execution) as one, workspace(execution) as other:
        write_private(one / "content.sh", "x")

        assert not (other / "content.sh").exists()

    assert eventually(lambda: list(execution.work_root.iterdir()) == [])


def test_a_root_that_was_never_made_needs_no_sweep(tmp_path: Path) -> None:
    assert sweep_workspaces(tmp_path / "none") == 0


@pytest.mark.parametrize(
    ("kind", "words"), [("process-group", "setsid sleep"), ("cgroup", "setsid env -i sleep")]
)
def test_orphans_of_a_dead_worker_are_killed_and_no_run_that_has_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, words: str
) -> None:
    """X-21: the worker and the first process of its tree were killed before either could act.

    What emptied its environment is found by its control group alone.
    """
    contain_by(kind, monkeypatch)
    orphan, tended = new_marker(), new_marker()
    run = Run(make_execution(f"sleep {tended}", root=tmp_path))
    command = [sys.executable, "-m", "tests.flow.executions", str(tmp_path), "30"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, text=True) as worker:
        assert worker.stdin is not None
        worker.stdin.write(f"{words} {orphan}")
        worker.stdin.close()
        assert eventually(lambda: len(living(orphan)) == len(living(tended)) == 1)
        (server,) = psutil.Process(worker.pid).children()
        (guard,) = server.children()
        worker.send_signal(signal.SIGSTOP)
        guard.kill()
        worker.kill()
    assert len(living(orphan)) == 1

    sweep_orphans(tmp_path)

    assert eventually(lambda: living(orphan) == [])
    assert len(living(tended)) == 1
    run.stop(StopReason.FENCED)
    run.outcome()
    assert living(tended) == []
    folder = own_folder()
    assert eventually(lambda: sweep_orphans(tmp_path) == 0 and not (folder and abandoned(folder)))
