"""What keeps a process tree together, so that nothing of it survives (X-21).

Both kinds start the same first process (``init.py``). In a PID namespace the kernel itself ends
everything with it, and ``setpriv`` ends it with the worker. Where no namespace can be had, it
adopts orphans and ends all below it. Which one is decided once, by trying.

``setpriv --pdeathsig`` fires when the *thread* that started it ends. The thread that calls
``run_command`` starts the tree and stays until the tree is gone, so only a dying worker fires it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psutil

WANTED = "SENTINEL_CONTAINMENT"
COOKIE = "SENTINEL_COOKIE"

_INIT = str(Path(__file__).with_name("init.py"))
_TRIAL_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Containment:
    """A way to start a command so that its whole tree can be ended."""

    name: str
    prefix: tuple[str, ...]
    explanation: str

    def wrap(self, argv: Sequence[str], *, channel: int, words: Sequence[str] = ()) -> list[str]:
        """Return the command line that runs ``argv`` under the first process of its tree.

        ``words`` are ``name=number`` for that process: limits, and when it is ``unattended``.
        """
        first = [sys.executable, "-I", "-S", _INIT, str(channel), ",".join(words)]
        return [*self.prefix, *first, *argv]

    def describe(self) -> str:
        """Return a line for the worker's page."""
        return f"{self.name}: {self.explanation}"


_NAMESPACE = ("--pid", "--fork", "--kill-child=KILL")
_AS_USER = ("--user", "--map-current-user")
_BY_KERNEL = "the kernel ends every process of a run together"
PROCESS_GROUP = Containment(
    "process-group",
    (),
    "orphans are adopted, and all that descends from a run is swept",
)
# In the order of preference; the first that works is taken.
_CANDIDATES = (
    ("pid-namespace", (*_NAMESPACE, "--mount-proc"), _BY_KERNEL),
    ("pid-namespace", (*_AS_USER, *_NAMESPACE, "--mount-proc"), f"{_BY_KERNEL} (user namespace)"),
    ("pid-namespace", _NAMESPACE, f"{_BY_KERNEL}; /proc shows the host"),
    ("pid-namespace", (*_AS_USER, *_NAMESPACE), f"{_BY_KERNEL} (user namespace, host's /proc)"),
)


def choose() -> Containment:
    """Return the best containment that works here; SENTINEL_CONTAINMENT may ask for the weaker."""
    return PROCESS_GROUP if os.environ.get(WANTED) == PROCESS_GROUP.name else _best()


@cache
def _best() -> Containment:
    setpriv, unshare = shutil.which("setpriv"), shutil.which("unshare")
    if setpriv is None or unshare is None:
        return PROCESS_GROUP
    for name, options, explanation in _CANDIDATES:
        prefix = (setpriv, "--pdeathsig", "KILL", "--", unshare, *options, "--")
        if _works(prefix):
            return Containment(name, prefix, explanation)
    return PROCESS_GROUP


def _works(prefix: Sequence[str]) -> bool:
    """Tell whether a process started behind ``prefix`` really is number 1 of a namespace."""
    program = "import os, sys; sys.exit(os.getpid() != 1)"
    try:
        trial = subprocess.run(  # noqa: S603  (our own words only)
            [*prefix, sys.executable, "-I", "-S", "-c", program],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRIAL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return trial.returncode == 0


def marked(cookie: str) -> Iterator[psutil.Process]:
    """Yield every living process that carries ``cookie`` in its environment.

    The last resort, for the day somebody killed the first process of a tree.
    """
    return (process for process, found in members() if found[COOKIE] == cookie)


def members() -> Iterator[tuple[psutil.Process, dict[str, str]]]:
    """Yield every living process that any worker here started, and its environment."""
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            if COOKIE in environment and process.status() != psutil.STATUS_ZOMBIE:
                yield process, environment
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            # Ended meanwhile, or of another user and so not started by us.
            continue
