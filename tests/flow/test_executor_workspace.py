"""Directories that a dead worker left are told from those in use, and removed (X-20)."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tasks_app.executors.workspace import sweep_workspaces, workspace, write_private
from tests.flow.executions import eventually, make_execution

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
