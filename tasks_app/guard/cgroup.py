"""The control group of one run (cgroup v2), whose processes the kernel ends together (X-21).

Nothing leaves it by starting something else, losing its parent or emptying its environment. No
controller is needed, only a folder of the worker's own that can be written.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

_PREFIX = "sentinel-run"
_OWNER = re.compile(rf"{_PREFIX}-(\d+)-(\d+)-")


def own_folder() -> Path | None:
    """Return the folder of our own group; None: cgroup v2 is not mounted here."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text()
        groups = Path("/proc/self/cgroup").read_text()
    except OSError:
        return None
    inside = next((line[3:] for line in groups.splitlines() if line.startswith("0::")), None)
    for line in mounts.splitlines():
        fields, _, rest = line.partition(" - ")
        if inside is not None and rest.startswith("cgroup2 "):
            root, point = fields.split()[3:5]
            return Path(point) / inside.removeprefix(root).lstrip("/")
    return None


class Cgroup:
    """One group, named by its folder. Without a folder there is none, and nothing is done."""

    def __init__(self, folder: str | None) -> None:
        self._folder = Path(folder) if folder else None

    @contextmanager
    def joined(self) -> Iterator[None]:
        """Be in it meanwhile, so that what is started then is in it from its first instant."""
        if self._folder is None:
            yield
            return
        self._folder.mkdir()
        former = self._folder.parent
        (self._folder / "cgroup.procs").write_text("0")
        try:
            yield
        finally:
            (former / "cgroup.procs").write_text("0")

    def kill(self) -> None:
        """End every process of it at once, those that are being forked too."""
        if self._folder is not None:
            with suppress(OSError):  # it is gone, or another user's: who lives there is looked at
                (self._folder / "cgroup.kill").write_text("1")

    def is_populated(self) -> bool:
        """Tell whether a process of it lives, in it or in a group that it made below."""
        if self._folder is None:
            return False
        with suppress(FileNotFoundError):
            return "populated 1" in (self._folder / "cgroup.events").read_text()
        return False

    def remove(self) -> None:
        """Remove it, and what was made below, once nothing lives there.

        Content may have taken our rights away; what cannot be removed is empty and harmless.
        """
        if self._folder is None:
            return
        for folder, _, _ in os.walk(self._folder, topdown=False):
            with suppress(OSError):
                Path(folder).rmdir()


def name_of(cookie: str) -> str:
    """Return the name of the group of a run of this process: whose it is, and which."""
    pid = os.getpid()
    return f"{_PREFIX}-{pid}-{_started_at(pid)}-{cookie}"


def abandoned(folder: Path) -> list[Cgroup]:
    """Return the groups below ``folder`` whose worker is gone."""
    return [Cgroup(str(path)) for path in sorted(folder.glob(f"{_PREFIX}-*")) if _is_left(path)]


def _is_left(path: Path) -> bool:
    owner = _OWNER.match(path.name)
    return owner is not None and _started_at(int(owner[1])) != owner[2]


def _started_at(pid: int) -> str | None:
    """Return when ``pid`` started, in ticks since boot; None: it is gone. Ids are given again."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (FileNotFoundError, ProcessLookupError):
        return None
