"""The process from which the first process of every run is forked: warm, empty and small.

An interpreter of its own for each run would cost more than most runs do. It is a program (``python
-I -S -c "…" CONTROL KIND``) that the worker starts with a bare environment. CONTROL is a socket
to the worker: each message is one byte with three descriptors, the channel, stdout and stderr of a
run. What is to run comes down the channel and is read by the forked process alone, so nothing of
one run is ever in the memory of another. The end of CONTROL ends us.

What is forked shares our memory page by page until it writes there, and Python writes to whatever
it looks at. So most of what a run costs here is pages that are copied, and a first process looks
at little: no enumerations, no JSON, nothing that could have been done before.

In the namespace kinds we are process 1 of a PID namespace ourselves, so the kernel ends every run
with us, and us with the worker (``setpriv --pdeathsig``, ``unshare --kill-child``). In the group
kind runs outlive us, and each ends with its channel.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import socket
import sys
from contextlib import suppress

from tasks_app.guard import init, kernel
from tasks_app.guard.kinds import GROUP, NAMESPACE

_DESCRIPTORS = 3


def serve(control: socket.socket, kind: str) -> None:
    """Fork a first process for each message until the worker is gone, or has another server."""
    ours = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    while (descriptors := _received(control)) is not None:
        if len(descriptors) == _DESCRIPTORS:
            _serve_one(descriptors, kind, (control.fileno(), ours))
        for descriptor in descriptors:
            os.close(descriptor)


def _received(control: socket.socket) -> list[int] | None:
    """Return the descriptors of the next run; None: nobody asks any more."""
    with suppress(ConnectionError):
        word, descriptors, _, _ = socket.recv_fds(control, 1, _DESCRIPTORS)
        return descriptors if word else None
    return None


def _serve_one(descriptors: list[int], kind: str, own: tuple[int, int]) -> None:
    """Fork a first process that has ``descriptors`` and none of our ``own``."""
    try:
        child = _fork(own[1], kind)
    except OSError as error:
        with suppress(OSError):  # whoever asked is gone
            os.write(descriptors[0], f"failed {error.errno}\n".encode())
        return
    if child == 0:
        _first(descriptors, kind, own)


def _fork(ours: int, kind: str) -> int:
    """Fork, into a namespace of its own in the namespace kinds. OSError: the kernel has no room."""
    if kind == GROUP:
        return os.fork()
    kernel.unshare(kernel.NEW_PIDS)
    child = None
    try:
        child = os.fork()
    finally:
        if child != 0:
            _return(ours)
    return child


def _return(ours: int) -> None:
    """Have the next child come from our own namespace: only from there it may get another one."""
    try:
        kernel.enter(ours)
    except OSError as error:
        sys.exit(f"the fork server cannot return to its namespace: {error.strerror}")


def _first(descriptors: list[int], kind: str, own: tuple[int, ...]) -> None:
    """Be the first process of a run, without the descriptors that are our ``own``; never return."""
    global _is_server
    _is_server = False
    status = 1
    try:
        for descriptor in own:
            os.close(descriptor)
        channel, stdout, stderr = descriptors
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        os.close(stdout)
        os.close(stderr)
        os.setsid()
        if kind == NAMESPACE:
            kernel.mount_proc()
        init.guard(channel)
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())  # into LOG, where the run's own words are
    finally:
        os._exit(status)


def _reap(*_: object) -> None:
    """Collect everyone who ended, here and not by ignoring them: so their CPU time is counted.

    What we fork has this handler too, to be woken by, and collects its own in its own time.
    """
    with suppress(ChildProcessError):
        while _is_server and os.waitpid(-1, os.WNOHANG) != (0, 0):
            pass


_is_server = True


def _prepare(kind: str) -> None:
    """Do what holds for every run, so that none has to."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, _reap)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    kernel.hand_on_nothing()
    if kind == NAMESPACE:
        kernel.mount_privately()
    gc.disable()
    gc.freeze()


def main() -> None:
    """Serve the worker at the other end of the socket that the arguments name."""
    control, kind = socket.socket(fileno=int(sys.argv[1])), sys.argv[2]
    control.set_inheritable(False)
    _prepare(kind)
    serve(control, kind)
    # What still runs ends by its own channel. In a namespace it would end with us.
    with suppress(ChildProcessError):
        while True:
            os.wait()
