"""The worker's end of the process that forks the first process of each run (``tasks_app.guard``).

One for each worker process, started with the first run and again whenever it is gone.

``setpriv --pdeathsig`` fires when the *thread* that started the process ends, so a thread of its
own starts it and stays until it is gone: only a dying worker fires it.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from contextlib import suppress
from pathlib import Path

from tasks_app.guard import cgroup
from tasks_app.guard.kinds import GROUP

_ROOT = Path(__file__).resolve().parents[2]
_PROGRAM = "import sys; sys.path.insert(0, {!r}); from tasks_app.guard import forkserver; {}"
#: Isolated and without site packages, and bare of our environment: it is what runs have around
#: them, and what may be read by them.
_INTERPRETER = (sys.executable, "-I", "-S", "-X", "utf8", "-c")
_COMMAND = (*_INTERPRETER, _PROGRAM.format(str(_ROOT), "forkserver.main()"))
_FORK = b"F"
#: So many seconds it has to start, or to take what it is sent.
_WITHIN = 10.0


def connected(kind: socket.SocketKind) -> tuple[socket.socket, socket.socket]:
    """Return our end of a connection, and the one for a process that waits when it reads.

    While a worker stops, Celery gives every new socket a timeout, and with it both ends of a pair:
    to whoever knows nothing of that, what has not come yet is an error.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, kind)
    theirs.setblocking(True)
    return ours, theirs


class ForkServer:
    """Forks first processes; ``prefix`` is what stands before its own command line.

    Each run has a control group of its own in the folder ``cgroups``, if there is one. What the
    server has to say of itself goes where our own errors go, unless ``is_trial``.
    """

    def __init__(
        self,
        prefix: Sequence[str],
        kind: str,
        *,
        cgroups: Path | None = None,
        is_trial: bool = False,
    ) -> None:
        #: The kernel ends all of a run with its first process.
        self.is_namespace = kind != GROUP
        self._cgroups = cgroups
        self._prefix = prefix
        self._kind = kind
        self._errors = subprocess.DEVNULL if is_trial else None
        self._lock = threading.Lock()
        self._control: socket.socket | None = None
        self._owner = 0
        self._asked = 0
        #: The process that was started last; in a namespace the server is its child.
        self.pid: int | None = None

    def group_of(self, cookie: str) -> str | None:
        """Return the folder of the control group of the run that has ``cookie``, if it has one."""
        return str(self._cgroups / cgroup.name_of(cookie)) if self._cgroups is not None else None

    def fork(self, descriptors: Sequence[int]) -> int:
        """Have a first process forked that has channel, stdout and stderr; OSError if none can.

        Returns which server was asked, for ``forget``. One that just died says nothing.
        """
        with self._lock:
            try:
                return self._sent(descriptors)
            except (ConnectionError, TimeoutError):
                # It was killed or stopped, which is no reason to start nothing from now on.
                self._drop()
                return self._sent(descriptors)

    def forget(self, asked: int | None = None) -> None:
        """Have another fork from now on, unless there is a newer one; it ends with its last run."""
        with self._lock:
            if asked in (None, self._asked):
                self._drop()

    def _sent(self, descriptors: Sequence[int]) -> int:
        if self._control is None or self._owner != os.getpid():
            self._control = self._started()
        socket.send_fds(self._control, [_FORK], descriptors)
        return self._asked

    def _drop(self) -> None:
        if self._control is None:
            return
        with suppress(OSError):  # it is gone
            self._control.shutdown(socket.SHUT_RDWR)  # a child of ours may hold a copy
        self._control.close()
        self._control = None

    def _started(self) -> socket.socket:
        self._owner = os.getpid()
        self._asked += 1
        control, theirs = connected(socket.SOCK_SEQPACKET)
        control.settimeout(_WITHIN)  # whoever waits longer holds up all others
        launched: Future[None] = Future()
        words = (theirs, launched)
        threading.Thread(target=self._own, args=words, name="fork server", daemon=True).start()
        try:
            launched.result(_WITHIN)
        except BaseException:
            control.close()
            raise
        return control

    def _own(self, theirs: socket.socket, launched: Future[None]) -> None:
        """Start it, tell how that went, and stay until it is gone."""
        with theirs:
            try:
                process = subprocess.Popen(  # noqa: S603  (our own words only)
                    [*self._prefix, *_COMMAND, str(theirs.fileno()), self._kind],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=self._errors,
                    env={},
                    cwd="/",
                    start_new_session=True,
                    pass_fds=(theirs.fileno(),),
                )
            except BaseException as error:  # raised again by whoever waits
                launched.set_exception(error)
                return
        self.pid = process.pid
        launched.set_result(None)
        process.wait()
