"""The directory of one run: fresh, readable by nobody else, and gone afterwards (X-20).

Whoever uses a directory holds a lock on it, which the kernel drops with the process. So a worker
that was killed leaves directories that anyone can tell from those in use.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from tasks_app.executors.base import Execution
from tasks_app.executors.cookie import members
from tasks_app.guard import cgroup

logger = logging.getLogger(__name__)

_PREFIX = "task-"


@contextmanager
def workspace(execution: Execution) -> Iterator[Path]:
    """Make a fresh directory of mode 0700 and remove it on every path."""
    root = execution.work_root
    root.mkdir(mode=0o700, parents=True, exist_ok=True)
    prefix = f"{_PREFIX}{execution.task_id}-{execution.attempt_number}-"
    with _locked(root, fcntl.LOCK_SH):  # so that no sweep sees the directory before its lock
        home = Path(tempfile.mkdtemp(prefix=prefix, dir=root.resolve()))
        lock = _open(home)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield home
    finally:
        _remove(home)
        os.close(lock)


def write_private(path: Path, text: str) -> None:
    """Write ``text`` into a new file of mode 0600."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(text.encode())


def hand_secrets(execution: Execution, home: Path) -> dict[str, str]:
    """Write each secret that the job names into a file of its own; return the variable for them.

    A value in a variable or an argument would be seen by every process that is started.
    """
    if not execution.credentials:
        return {}
    folder = home / "secrets"
    folder.mkdir(mode=0o700)
    for name, value in execution.credentials.items():
        write_private(folder / name, value)
    return {"SENTINEL_SECRETS": str(folder)}


def sweep_workspaces(root: Path) -> int:
    """Remove what workers that died left under ``root``; return how many directories that was."""
    if not root.is_dir():
        return 0
    with _locked(root, fcntl.LOCK_EX):
        return sum(_remove_if_abandoned(home) for home in root.glob(f"{_PREFIX}*"))


def sweep_orphans(root: Path) -> int:
    """Kill what runs of workers that died left running; return how many processes that was.

    Needed only where neither the kernel nor the first process of the tree could do it (X-21). A
    run whose directory below ``root`` is locked has a worker; any other has none. What emptied its
    environment is found where runs had control groups.
    """
    sweep_cgroups()
    orphans = [
        process
        for process, environment in members()
        if _is_left(Path(environment.get("HOME", "")), root.resolve())
    ]
    for process in orphans:
        with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process.kill()
    if orphans:
        logger.warning("orphans.killed", extra={"pids": [process.pid for process in orphans]})
    return len(orphans)


def sweep_cgroups() -> None:
    """End and remove the control groups of runs whose worker died."""
    folder = cgroup.own_folder()
    for group in cgroup.abandoned(folder) if folder is not None else []:
        group.kill()
        group.remove()  # the next sweep does, if its processes are still ending


def _is_left(home: Path, root: Path) -> bool:
    if home.parent != root or not home.name.startswith(_PREFIX):
        return False
    try:
        with _locked(home, fcntl.LOCK_EX | fcntl.LOCK_NB):
            return True
    except FileNotFoundError:
        return True
    except BlockingIOError:
        return False


def _remove_if_abandoned(home: Path) -> bool:
    try:
        with _locked(home, fcntl.LOCK_EX | fcntl.LOCK_NB):
            _remove(home)
    except (BlockingIOError, FileNotFoundError):
        return False  # in use, or just removed by its own worker
    return not home.exists()


@contextmanager
def _locked(folder: Path, kind: int) -> Iterator[None]:
    descriptor = _open(folder)
    try:
        fcntl.flock(descriptor, kind)
        yield
    finally:
        os.close(descriptor)


def _open(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def _remove(home: Path) -> None:
    """Remove ``home``, also where content took its own rights away or was there first."""
    try:
        try:
            shutil.rmtree(home)
        except PermissionError:
            _open_up(home)
            shutil.rmtree(home)
    except FileNotFoundError:
        return
    except OSError:
        logger.exception("workspace.left", extra={"path": str(home)})


def _open_up(home: Path) -> None:
    """Make every directory writable before it is entered."""
    home.chmod(0o700)
    for folder, names, _ in os.walk(home):
        for path in (Path(folder, name) for name in names):
            if not path.is_symlink():
                path.chmod(0o700)
