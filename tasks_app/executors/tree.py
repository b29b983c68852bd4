"""A process tree seen from the worker: how it is started, told to end, and proved gone (X-21)."""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from sentinel_project.clock import monotonic
from tasks_app.executors.cookie import COOKIE, marked
from tasks_app.executors.guards import ForkServer, connected
from tasks_app.guard.cgroup import Cgroup
from tasks_app.guard.kinds import LENGTH

# How long the first process has to report success, and how long we then look for ourselves.
_KILL_SECONDS = 2.0
_HUNT_SECONDS = 5.0
_PAUSE_SECONDS = 0.02
# How long a fork server may take, which forks for one run after the other.
_START_SECONDS = 30.0
# What the kernel says of who wrote to us: pid, user, group.
_WRITER = struct.Struct("3i")
# How long a start may overlook that it is not wanted any more.
_LOOK_SECONDS = 0.5
#: Each start takes descriptors and a place in the server's queue: hundreds at once take turns.
_STARTS = threading.BoundedSemaphore(16)


class NotStarted(Exception):
    """It was to be stopped before it began."""


class Tree:
    """A command and everything that came out of it, kept together by its first process.

    ``exit_code`` is the command's own, negative for a signal, None while it runs or if nobody
    knows. ``is_gone`` is a proof, not a guess: its first process saw that no child was left.
    """

    stdout: IO[bytes]
    stderr: IO[bytes]

    def __init__(
        self,
        argv: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        server: ForkServer,
        words: Mapping[str, float] | None = None,
        may_start: Callable[[], bool] = lambda: True,
    ) -> None:
        self.is_started = False
        self.is_gone = False
        self.exit_code: int | None = None
        self.spawn_errno: int | None = None
        #: The limit for which the first process ended the tree, or "unattended".
        self.ended_for: str | None = None
        self._is_heard = False
        self._is_silent = False
        self._is_given_up = False
        self._pause = threading.Event()
        self._unread = b""
        self._cookie = secrets.token_hex(16)
        self._is_namespace = server.is_namespace
        self._first: psutil.Process | None = None
        folder = server.group_of(self._cookie)
        self._group = Cgroup(folder)
        request = {  # of plain types: nothing else can be told
            "argv": [str(word) for word in argv],
            "env": {**env, COOKIE: self._cookie},
            "cwd": str(cwd),
            "cgroup": folder,
            "words": dict(words or {}),
        }
        text = marshal.dumps(request)
        with _in_turn(may_start):
            # One that was asked of a server which just died has not even been begun.
            if not (self._begin(text, server, may_start) or self._begin(text, server, may_start)):
                raise OSError(errno.ECHILD, "no process could be made that guards its tree")

    def _begin(self, request: bytes, server: ForkServer, may_start: Callable[[], bool]) -> bool:
        """Have the command started; False: nobody was there to do it. OSError: it cannot be."""
        self._is_silent = False
        with contextlib.ExitStack() as on_failure:
            self._channel, theirs = connected(socket.SOCK_STREAM)
            on_failure.enter_context(self._channel)
            with theirs:
                asked = self._fork(theirs, server, on_failure)
            is_begun = self._is_answered(server, asked, may_start)
            if is_begun:
                self._ask(request, may_start)
                on_failure.pop_all()
        return is_begun

    def _fork(
        self, theirs: socket.socket, server: ForkServer, on_failure: contextlib.ExitStack
    ) -> int:
        """Have the first process forked and keep our ends of its pipes; return who was asked."""
        # The kernel shall say with every word who wrote it, as we would name that process.
        self._channel.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        ours: list[IO[bytes]] = []
        with contextlib.ExitStack() as given:
            descriptors = [theirs.fileno()]
            for _ in range(2):
                reader, writer = os.pipe()
                given.callback(os.close, writer)
                ours.append(on_failure.enter_context(os.fdopen(reader, "rb", buffering=0)))
                descriptors.append(writer)
            asked = server.fork(descriptors)
        self.stdout, self.stderr = ours
        return asked

    def _is_answered(self, server: ForkServer, asked: int, may_start: Callable[[], bool]) -> bool:
        """Wait for the first word of the first process; False: there is none.

        Whoever is not waited for any longer finds a closed channel, and starts nothing.
        """
        deadline = monotonic() + _START_SECONDS
        while not (self._is_heard or self.is_over):
            _go_on_if(may_start)
            if (left := deadline - monotonic()) <= 0:
                server.forget(asked)  # it was stopped
                raise OSError(errno.ETIMEDOUT, "the process that guards its tree did not answer")
            self.wait(min(left, _LOOK_SECONDS))
        if not self._is_heard:
            server.forget(asked)
        return self._is_heard

    def _ask(self, request: bytes, may_start: Callable[[], bool]) -> None:
        """Say what is to be run, unless that may not start any more."""
        _go_on_if(may_start)
        self._channel.settimeout(_START_SECONDS)
        with contextlib.suppress(TimeoutError, ConnectionError):
            self._channel.sendall(LENGTH.pack(len(request)) + request)

    @property
    def is_running(self) -> bool:
        """Tell whether the command itself may still be running."""
        return self.exit_code is None and not self.is_over

    @property
    def is_over(self) -> bool:
        """Tell whether the first process has nothing more to say."""
        return self.is_gone or self._is_silent

    def wait(self, timeout: float) -> None:
        """Wait at most ``timeout`` seconds for news of the tree."""
        self._channel.settimeout(max(timeout, 0.001))
        try:
            heard, about, _, _ = self._channel.recvmsg(4096, socket.CMSG_SPACE(_WRITER.size))
        except TimeoutError:
            return
        except ConnectionError:
            heard, about = b"", []
        if self._first is None:
            self._first = _writer(about)
        self._is_silent = not heard
        *lines, self._unread = (self._unread + heard).split(b"\n")
        for line in lines:
            self._note(line.decode())

    def wait_until_gone(self, timeout: float) -> bool:
        """Wait at most ``timeout`` seconds until nothing is left; tell whether that is proved."""
        deadline = monotonic() + timeout
        while not self.is_over and (left := deadline - monotonic()) > 0:
            self.wait(left)
        return self.is_gone

    def renew(self) -> None:
        """Tell the first process that the worker is there and has its lease."""
        self._command(b"A")

    def terminate(self) -> None:
        """Send SIGTERM to every process of the tree."""
        self._command(b"T")

    def kill(self) -> bool:
        """End every process of the tree; tell whether it is proved that none is left."""
        if not self.is_over:
            self._command(b"K")
        return self.wait_until_gone(_KILL_SECONDS) or self._hunt()

    def close(self) -> None:
        """Let nothing of the tree survive, whatever happened before.

        A first process that could not empty its tree is left alone, for it never stops trying.
        """
        if not (self.is_gone or self._is_given_up):
            self.kill()
        self._channel.close()

    def _note(self, line: str) -> None:
        self._is_heard = True
        word, _, number = line.partition(" ")
        match word:
            case "here":
                return
            case "started":
                self.is_started = True
            case "failed":
                self.spawn_errno = int(number)
                self.is_gone = True
            case "exit":
                self.exit_code = int(number)
            case "signal":
                self.exit_code = -int(number)
            case "ended":
                self.ended_for = number
            case _:
                assert word == "gone", line
                self.is_gone = True

    def _command(self, command: bytes) -> None:
        # One that died hears nothing, and its silence is noticed by whoever waits next. The channel
        # of one that was stopped may be full: it is not waited for, but found in the hunt.
        self._channel.settimeout(0)
        with contextlib.suppress(OSError):
            self._channel.send(command)

    def _hunt(self) -> bool:
        """End what can be found from outside, since the first process cannot tell any more.

        Found are all descendants, those seen before, whoever carries the cookie, and the control
        group.
        """
        if self._first is None:
            # Not a word so far. One that were forked from now on would find nothing to start.
            self._channel.shutdown(socket.SHUT_RDWR)
        deadline = monotonic() + _HUNT_SECONDS
        seen: set[psutil.Process] = set()
        while monotonic() < deadline:
            seen |= self._survivors()
            seen = {process for process in seen if _is_alive(process)}
            targets = seen
            # In a namespace the kernel ends all with the first process. Elsewhere it is last: while
            # it lives, orphans are still its descendants.
            if self._first and _is_alive(self._first) and (self._is_namespace or not seen):
                targets = {*seen, self._first}
            if not (targets or self._group.is_populated()):
                self._group.remove()
                self.is_gone = True
                return True
            self._group.kill()
            for process in targets:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    process.kill()
            self._pause.wait(_PAUSE_SECONDS)
        self._is_given_up = True
        return False

    def _survivors(self) -> set[psutil.Process]:
        found = set(marked(self._cookie))
        if self._first is not None:
            with contextlib.suppress(psutil.NoSuchProcess):
                found.update(self._first.children(recursive=True))
        return found


@contextlib.contextmanager
def _in_turn(may_start: Callable[[], bool]) -> Iterator[None]:
    """Wait for a place among those that start, as long as that is wanted."""
    while not _STARTS.acquire(timeout=_LOOK_SECONDS):
        _go_on_if(may_start)
    try:
        yield
    finally:
        _STARTS.release()


def _go_on_if(may_start: Callable[[], bool]) -> None:
    if not may_start():
        raise NotStarted


def _writer(about: list[tuple[int, int, bytes]]) -> psutil.Process | None:
    """Return the process that the kernel says wrote; None: it says nothing, or it is gone."""
    for level, kind, data in about:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS):
            with contextlib.suppress(psutil.NoSuchProcess):
                return psutil.Process(_WRITER.unpack(data)[0])
    return None


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
