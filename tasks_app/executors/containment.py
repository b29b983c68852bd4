"""What keeps a process tree together, so that nothing of it survives (X-21).

All kinds have the same first process (``tasks_app.guard``). In a PID namespace the kernel itself
ends everything with it, and with the worker. Where no namespace can be had, it adopts orphans and
ends all below it; a control group of each run, where one can be made, keeps what it would lose if
it were killed itself. Which one is decided once, by trying.
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
from tasks_app.guard import cgroup
from tasks_app.guard.kinds import GROUP, NAMESPACE, NAMESPACE_ONLY

WANTED = "SENTINEL_CONTAINMENT"
CGROUP = "cgroup"

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
    """Return the best containment that works here; SENTINEL_CONTAINMENT may ask for a weaker."""
    wanted = os.environ.get(WANTED)
    if wanted == PROCESS_GROUP.name:
        return PROCESS_GROUP
    return (None if wanted == CGROUP else _namespace()) or _cgroup() or PROCESS_GROUP


@cache
def _namespace() -> Containment | None:
    setpriv, unshare = shutil.which("setpriv"), shutil.which("unshare")
    if setpriv is None or unshare is None:
        return None
    for options, kind, explanation in _CANDIDATES:
        prefix = (setpriv, "--pdeathsig", "KILL", "--", unshare, *options, "--")
        if _works(ForkServer(prefix, kind, is_trial=True), "test $PPID -eq 1"):
            return Containment("pid-namespace", explanation, ForkServer(prefix, kind))
    return None


@cache
def _cgroup() -> Containment | None:
    folder = cgroup.own_folder()
    if folder is None:
        return None
    trial = ForkServer((), GROUP, cgroups=folder, is_trial=True)
    # Of the same group as its own, which the kernel can end as a whole (Linux 5.14).
    proof = f'test -w "{folder}$(sed -n "s/^0:://p" /proc/$$/cgroup | sed "s,.*/,/,")/cgroup.kill"'
    if not _works(trial, proof):
        return None
    explanation = "orphans are adopted, and the kernel ends a run's control group together"
    return Containment(CGROUP, explanation, ForkServer((), GROUP, cgroups=folder))


def _works(server: ForkServer, proof: str) -> bool:
    """Tell whether a run finds by the shell's ``proof`` that it is kept as it should be."""
    shell = shutil.which("sh") or "/bin/sh"
    try:
        trial = Tree([shell, "-c", proof], env={}, cwd=Path("/"), server=server)
        with closing(trial), trial.stdout, trial.stderr:
            return trial.wait_until_gone(_TRIAL_SECONDS) and trial.exit_code == 0
    except OSError:
        return False
    finally:
        server.forget()
