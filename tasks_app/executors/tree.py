"""A process tree seen from the worker: how it is started, told to end, and proved gone (X-21)."""

from __future__ import annotations

import contextlib
import secrets
import socket
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import psutil

from sentinel_project.clock import monotonic
from tasks_app.executors.containment import COOKIE, Containment, marked

# How long the first process has to report success, and how long we then look for ourselves.
_KILL_SECONDS = 2.0
_HUNT_SECONDS = 5.0
_PAUSE_SECONDS = 0.02


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
        containment: Containment,
        words: Sequence[str] = (),
    ) -> None:
        self.is_started = False
        self.is_gone = False
        self.exit_code: int | None = None
        self.spawn_errno: int | None = None
        #: The limit for which the first process ended the tree, or "unattended".
        self.ended_for: str | None = None
        self._is_silent = False
        self._is_given_up = False
        self._unread = b""
        self._cookie = secrets.token_hex(16)
        self._channel, theirs = socket.socketpair()
        with theirs, contextlib.ExitStack() as on_failure:
            on_failure.callback(self._channel.close)
            self._process = subprocess.Popen(  # noqa: S603  (an argv list, no shell: X-20)
                containment.wrap(argv, channel=theirs.fileno(), words=words),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env={**env, COOKIE: self._cookie},
                cwd=cwd,
                start_new_session=True,
                pass_fds=(theirs.fileno(),),
            )
            on_failure.pop_all()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.stdout, self.stderr = self._process.stdout, self._process.stderr

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
            heard = self._channel.recv(4096)
        except TimeoutError:
            return
        except ConnectionError:
            heard = b""
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
        """Let nothing of the tree survive, whatever happened before, and reap it.

        A first process that could not empty its tree is left alone, for it never stops trying.
        """
        if not (self.is_gone or self._is_given_up):
            self.kill()
        self._channel.close()
        if self.is_gone:
            self._reap()

    def _note(self, line: str) -> None:
        word, _, number = line.partition(" ")
        match word:
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
        # An init that died hears nothing; its silence is noticed by whoever waits next.
        with contextlib.suppress(ConnectionError):
            self._channel.sendall(command)

    def _hunt(self) -> bool:
        """End what can be found from outside, since the first process cannot tell any more.

        Found are all descendants, those seen before, and whoever carries the cookie. The first
        process is last: while it lives, orphans are still its descendants.
        """
        deadline = monotonic() + _HUNT_SECONDS
        seen: set[psutil.Process] = set()
        while monotonic() < deadline:
            seen |= self._survivors()
            seen = {process for process in seen if _is_alive(process)}
            if not seen:
                self._process.kill()
            for process in seen:
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    process.kill()
            if self._is_reaped() and not seen:
                self.is_gone = True
                return True
        self._is_given_up = True
        return False

    def _survivors(self) -> set[psutil.Process]:
        found = {process for process in marked(self._cookie) if process.pid != self._process.pid}
        if self._process.poll() is None:  # else the id may be another's by now
            found.update(psutil.Process(self._process.pid).children(recursive=True))
        return found

    def _reap(self) -> None:
        try:
            self._process.wait(_KILL_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _is_reaped(self) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_PAUSE_SECONDS)
        return self._process.returncode is not None


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
