"""Keeps the parts of one machine running: starts them, starts them again, stops them in order.

Each part leads a session of its own, so that Ctrl-C reaches the supervisor alone and it decides
the order; on Linux the kernel ends every part with the supervisor, however that ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sentinel_project import clock

_PR_SET_PDEATHSIG = 1
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
#: A part that ran this long has recovered: its next crash is a first one again.
_RECOVERED_AFTER = 30.0
_LOG_MAX_BYTES = 20 * 1024 * 1024
_LOOK_EVERY = 0.1


class NotStarted(Exception):
    """A part ended, or was not ready in time; the message says where to look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A program to keep running. Parts of a lower ``stage`` are stopped, and gone, first."""

    name: str
    argv: Sequence[str]
    stage: int
    env: Mapping[str, str] = field(default_factory=dict)
    stop_seconds: float = 10.0


@dataclass(slots=True)
class _Running:
    part: Part
    process: subprocess.Popen[bytes]
    started_at: float
    pause: float = _FIRST_PAUSE
    restart_at: float | None = None


class Supervisor:
    """Starts parts, and restarts those that end, until ``stop`` is called."""

    def __init__(self, directory: Path, log_dir: Path, say: Callable[[str], None]) -> None:
        self._directory = directory
        self._log_dir = log_dir
        self._tell = say
        self._running: dict[str, _Running] = {}
        self._parent = os.getpid()

    def start(self, part: Part) -> None:
        """Start ``part`` with a log file of its own; the last run's log is kept as ``.1``."""
        log = self._log(part)
        if log.exists():
            log.replace(log.with_suffix(".log.1"))
        self._running[part.name] = _Running(part, self._spawn(part), clock.monotonic())

    def wait_until(self, is_ready: Callable[[], bool], name: str, seconds: float) -> None:
        """Wait for a part to be ready; it ending, or taking longer, raises ``NotStarted``."""
        deadline = clock.monotonic() + seconds
        while not is_ready():
            code = self._running[name].process.poll()
            if code is not None:
                raise NotStarted(f"{name} ended with {_ending(code)}; see {self._log_of(name)}")
            if clock.monotonic() > deadline:
                raise NotStarted(
                    f"{name} was not ready after {seconds:g} s; see {self._log_of(name)}"
                )
            threading.Event().wait(_LOOK_EVERY)

    def watch(self) -> None:
        """Look after every part once: restart what ended, cut logs that grew too large.

        A machine without a process or a byte to spare costs that part a pause, and no other.
        """
        for running in self._running.values():
            if running.restart_at is None:
                self._look(running)
            elif clock.monotonic() >= running.restart_at:
                self._start_again(running)
            self._cut(self._log(running.part))

    def stop(self) -> None:
        """Stop every part, stage by stage; one that outstays its time is killed."""
        for stage in sorted({running.part.stage for running in self._running.values()}):
            members = [r for r in self._running.values() if r.part.stage == stage]
            for running in members:
                _signal(running.process, signal.SIGTERM)
            for running in members:
                self._end(running)

    def kill(self) -> None:
        """End every part at once."""
        for running in self._running.values():
            _kill_group(running.process)

    def _look(self, running: _Running) -> None:
        code = running.process.poll()
        if code is None:
            return
        _kill_group(running.process)
        if clock.monotonic() - running.started_at > _RECOVERED_AFTER:
            running.pause = _FIRST_PAUSE
        self._say(
            f"{running.part.name} ended with {_ending(code)}; starting it again"
            f" in {running.pause:g} s (log: {self._log(running.part)})"
        )
        _put_off(running)

    def _start_again(self, running: _Running) -> None:
        try:
            running.process = self._spawn(running.part)
        except OSError as error:
            name, words = running.part.name, _words_of(error)
            self._say(f"{name} was not started: {words}; trying again in {running.pause:g} s")
            _put_off(running)
        else:
            running.started_at, running.restart_at = clock.monotonic(), None

    def _cut(self, log: Path) -> None:
        """Keep a log that grew too large as ``.1`` and let its writer go on in an empty one.

        Writers append, so the file can be emptied under them. On a full disk it is not kept: there
        is room again at once, and what can be told of a trouble is in the end of it that comes.
        """
        former = log.with_suffix(".log.1")
        try:
            if not log.is_file() or log.stat().st_size < _LOG_MAX_BYTES:
                return
            try:
                shutil.copyfile(log, former)
            except OSError as error:
                self._say(f"{log.name} was emptied and not kept: {_words_of(error)}")
                former.unlink(missing_ok=True)
            os.truncate(log, 0)
        except OSError as error:
            self._say(f"{log.name} could not be cut: {_words_of(error)}")

    def _say(self, line: str) -> None:
        with contextlib.suppress(OSError):  # nobody hears it, and nothing that runs must end for it
            self._tell(line)

    def _end(self, running: _Running) -> None:
        try:
            running.process.wait(running.part.stop_seconds)
        except subprocess.TimeoutExpired:
            self._say(f"{running.part.name} did not stop in time and is killed")
            _kill_group(running.process)

    def _spawn(self, part: Part) -> subprocess.Popen[bytes]:
        with self._log(part).open("ab") as log:
            return subprocess.Popen(  # noqa: S603 (our own argv lists)
                part.argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env={**os.environ, **part.env},
                start_new_session=True,
                preexec_fn=_die_with(self._parent),
            )

    def _log(self, part: Part) -> Path:
        return self._log_dir / f"{part.name}.log"

    def _log_of(self, name: str) -> Path:
        return self._log(self._running[name].part)


class Lock:
    """Held by at most one process on a file; the kernel lets go of it with the process."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+")
        self.holder: str | None = None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.seek(0)
            self.holder = self._file.read().strip() or "unknown"
            return
        self._file.truncate(0)
        self._file.write(str(os.getpid()))
        self._file.flush()


def _die_with(parent: int) -> Callable[[], None] | None:
    """Return what a child does first so that it ends when ``parent`` does; only Linux can."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it ended before we could ask
            os._exit(1)

    return prepare


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(number)


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End a part and what it left behind: children of a dead part may still hold its port."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    return f"signal {signal.Signals(-code).name}"


def _put_off(running: _Running) -> None:
    running.restart_at = clock.monotonic() + running.pause
    running.pause = min(running.pause * 2, _LONGEST_PAUSE)


def _words_of(error: OSError) -> str:
    return f"[Errno {error.errno}] {error.strerror}"
