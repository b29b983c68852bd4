"""What keeps a process tree together, so that nothing of it survives (X-21).

All kinds have the same first process (``tasks_app.guard``). In a PID namespace the kernel itself
ends everything with it, and with the worker. Where no namespace can be had, it adopts orphans and
ends all below it. Which one is decided once, by trying.
"""

from __future__ import annotations

import os
import shutil
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tasks_app.executors.guards import ForkServer
from tasks_app.executors.tree import Tree
from tasks_app.guard.kinds import GROUP, NAMESPACE, NAMESPACE_ONLY

WANTED = "SENTINEL_CONTAINMENT"

_TRIAL_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Containment:
    """A way to keep the processes of a run together; ``server`` starts them."""

    name: str
    explanation: str
    server: ForkServer

    def describe(self) -> str:
        """Return a line for the worker's page."""
        return f"{self.name}: {self.explanation}"


PROCESS_GROUP = Containment(
    "process-group",
    "orphans are adopted, and all that descends from a run is swept",
    ForkServer((), GROUP),
)
_NAMESPACE = ("--pid", "--fork", "--kill-child=KILL")
# In a user namespace only what keeps its capabilities can make a namespace for each run; content
# gets none of them.
_AS_USER = ("--user", "--map-current-user", "--keep-caps")
_BY_KERNEL = "the kernel ends every process of a run together"
# In the order of preference; the first that works is taken.
_CANDIDATES = (
    ((*_NAMESPACE, "--mount-proc"), NAMESPACE, _BY_KERNEL),
    ((*_AS_USER, *_NAMESPACE, "--mount-proc"), NAMESPACE, f"{_BY_KERNEL} (user namespace)"),
    (_NAMESPACE, NAMESPACE_ONLY, f"{_BY_KERNEL}; /proc shows the host"),
    (
        (*_AS_USER, *_NAMESPACE),
        NAMESPACE_ONLY,
        f"{_BY_KERNEL} (user namespace, host's /proc)",
    ),
)


def choose() -> Containment:
    """Return the best containment that works here; SENTINEL_CONTAINMENT may ask for the weaker."""
    return PROCESS_GROUP if os.environ.get(WANTED) == PROCESS_GROUP.name else _best()


@cache
def _best() -> Containment:
    setpriv, unshare = shutil.which("setpriv"), shutil.which("unshare")
    if setpriv is None or unshare is None:
        return PROCESS_GROUP
    for options, kind, explanation in _CANDIDATES:
        prefix = (setpriv, "--pdeathsig", "KILL", "--", unshare, *options, "--")
        if _works(ForkServer(prefix, kind, is_trial=True)):
            return Containment("pid-namespace", explanation, ForkServer(prefix, kind))
    return PROCESS_GROUP


def _works(server: ForkServer) -> bool:
    """Tell whether the first process of a run really is number 1 of a namespace."""
    shell = shutil.which("sh") or "/bin/sh"
    try:
        trial = Tree([shell, "-c", "test $PPID -eq 1"], env={}, cwd=Path("/"), server=server)
        with closing(trial), trial.stdout, trial.stderr:
            return trial.wait_until_gone(_TRIAL_SECONDS) and trial.exit_code == 0
    except OSError:
        return False
    finally:
        server.forget()
