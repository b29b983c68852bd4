"""The first process of every tree: starts the content, collects the dead, ends what is left (X-21).

Forked by ``forkserver``. In a PID namespace it is process 1, so the kernel ends everything with it;
elsewhere it makes itself the subreaper, so that whoever loses its parent, daemons included, becomes
its child. Either way "no child left" proves that the tree is empty.

CHANNEL is a socket to the worker. First comes the request: its length in four bytes, and, as
``marshal`` writes it, a map of ``argv``, ``env``, ``cwd``, ``cgroup`` (a folder or None) and
``words``, a map of limits and ``unattended``. Then come ``A`` (the lease was renewed), ``T``
(SIGTERM to all) and ``K`` (SIGKILL until empty); its end means ``K`` too, so that nothing outlives
a worker that was killed. A worker that was only stopped keeps the channel open, so ``unattended``
seconds without ``A`` mean ``K`` as well. Up go lines: ``here`` at once, ``started`` or ``failed
ERRNO``, ``exit CODE`` or ``signal NUMBER``, ``ended CAUSE`` (before a ``K`` of our own) and, last,
``gone``.
"""

from __future__ import annotations

import marshal
import os
import resource
import select
import signal
import time
from typing import Any

from tasks_app.guard import kernel
from tasks_app.guard.cgroup import Cgroup
from tasks_app.guard.kinds import LENGTH

_FIRST_PAUSE, _LONGEST_PAUSE = 10, 500  # milliseconds between two rounds of SIGKILL
_COUNT_EVERY = 100  # milliseconds between two looks at what the tree uses
_COUNTED = {"memory", "processes"}
#: What the kernel limits for us, of each process.
_RESOURCES = {
    "cpu": resource.RLIMIT_CPU,
    "memory": resource.RLIMIT_DATA,
    "openFiles": resource.RLIMIT_NOFILE,
    "fileSize": resource.RLIMIT_FSIZE,
}


class Init:
    """The main process and everything that came out of it."""

    def __init__(self, channel: int, words: dict[str, float], group: Cgroup) -> None:
        self._channel = channel
        self._words = words
        self._group = group
        self._renewed_at = time.monotonic()
        self._main: int | None = None
        self._is_killing = False
        self._unsaid: list[str] = []
        self._pause = _FIRST_PAUSE
        self._wake = _wake_on_child()
        self._poller = select.poll()
        self._poller.register(channel, select.POLLIN)
        self._poller.register(self._wake, select.POLLIN)

    def run(self, argv: list[str], env: dict[str, str]) -> None:
        """Start ``argv`` and stay until nothing of it is left."""
        if self._poller.poll(0):
            self._obey(self._heard())  # a worker that gave up on us has nothing started any more
        if not (self._is_killing or self._start(argv, env)):
            return
        while self._reap():
            self._wait()
        self._group.remove()
        self._say(*self._unsaid, "gone")

    def _start(self, argv: list[str], env: dict[str, str]) -> bool:
        os.environ["PATH"] = env.get("PATH", os.defpath)  # where the command is looked for
        try:
            with self._group.joined():
                self._main = os.posix_spawnp(
                    argv[0], argv, env, setsid=True, setsigmask=(), setsigdef=_CATCHABLE
                )
        except OSError as error:
            self._group.remove()
            self._say(f"failed {error.errno}")
            return False
        if "nice" in self._words:
            # Of the whole group, for it may have grown by now. We ourselves stay as quick as ever.
            os.setpriority(os.PRIO_PGRP, self._main, int(self._words["nice"]))
        self._say("started")
        return True

    def _reap(self) -> bool:
        """Collect everyone who ended; tell whether anyone is left.

        How the main process ended is said at once, unless "gone" is to follow: that is one word.
        """
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                if self._unsaid:
                    self._say(self._unsaid.pop())
                return True
            if pid == self._main:
                code = os.waitstatus_to_exitcode(status)
                self._unsaid = [f"exit {code}" if code >= 0 else f"signal {-code}"]

    def _wait(self) -> None:
        """Wait for a death or a command; while killing, kill again until nobody is left."""
        for descriptor, _ in self._poller.poll(self._patience()):
            if descriptor == self._wake:
                os.read(self._wake, 4096)
            else:
                self._obey(self._heard())
        if not self._is_killing and (cause := self._excess()):
            self._say(f"ended {cause}")
            self._is_killing = True
        if self._is_killing:
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._group.kill()
            _signal_all(signal.SIGKILL)

    def _patience(self) -> int | None:
        """Return how many milliseconds may pass until we look again, whatever comes."""
        if self._is_killing:
            return self._pause
        if _COUNTED & self._words.keys():
            return _COUNT_EVERY
        return 1000 if "unattended" in self._words else None

    def _excess(self) -> str | None:
        """Return why the tree must not go on, or None."""
        unattended = self._words.get("unattended")
        if unattended is not None and time.monotonic() > self._renewed_at + unattended:
            return "unattended"
        if not _COUNTED & self._words.keys():
            return None
        members = _descendants(_own_id())
        if len(members) > self._words.get("processes", len(members)):
            return "processes"
        most = self._words.get("memory")
        return "memory" if most is not None and sum(map(_resident, members)) > most else None

    def _obey(self, command: bytes) -> None:
        if command == b"A":
            self._renewed_at = time.monotonic()
            return
        if command == b"T":
            _signal_all(signal.SIGTERM)
            _signal_all(signal.SIGCONT)  # a stopped process hears nothing but SIGKILL
            return
        self._is_killing = True
        if not command:
            self._poller.unregister(self._channel)

    def _heard(self) -> bytes:
        try:
            return os.read(self._channel, 1)
        except ConnectionError:
            return b""

    def _say(self, *lines: str) -> None:
        try:
            os.write(self._channel, "".join(f"{line}\n" for line in lines).encode())
        except OSError:
            # The worker is gone. The end of the channel says the same and is acted upon.
            self._is_killing = True


#: As numbers: looking at a member of an enumeration would write to it (see ``forkserver``).
_CATCHABLE = tuple(
    int(number)
    for number in signal.valid_signals()
    if number not in (signal.SIGKILL, signal.SIGSTOP)
)


def _wake_on_child() -> int:
    """Return a descriptor that becomes readable whenever a child ends."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    os.set_blocking(reader, False)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    return reader


def _signal_all(number: int) -> None:
    """Signal every process but this one. In a namespace of our own the kernel knows them all."""
    for pid in [-1] if os.getpid() == 1 else _descendants(os.getpid()):
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            # Ended meanwhile, or not ours to signal: then it stays our child, and we never say
            # that the tree is gone.
            continue


def _descendants(ancestor: int) -> list[int]:
    """Return the ids below ``ancestor``, nearest first."""
    children: dict[int, list[int]] = {}
    for pid in [int(name) for name in os.listdir("/proc") if name.isdigit()]:
        children.setdefault(_parent(pid), []).append(pid)
    found = list(children.get(ancestor, []))
    for pid in found:
        found.extend(children.get(pid, []))
    return found


def _own_id() -> int:
    """Return our id as /proc names us: a namespace of ours may be left with the host's /proc."""
    return int(os.readlink("/proc/self"))


def _resident(pid: int) -> int:
    """Return the bytes of memory that ``pid`` holds, 0 if it just ended."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _parent(pid: int) -> int:
    """Return the parent of ``pid``, 0 if it just ended. Its name may hold spaces and brackets."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return int(file.read().rpartition(b")")[2].split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0


def _lower(kind: int, most: int) -> None:
    """Set a limit for us and all that comes out of us; one that is lower already stays."""
    _, ceiling = resource.getrlimit(kind)
    most = most if ceiling == resource.RLIM_INFINITY else min(most, ceiling)
    resource.setrlimit(kind, (most, most))


def guard(channel: int) -> None:
    """Guard the command that comes down ``channel`` until it and all of its tree are gone."""
    os.set_inheritable(channel, False)
    os.write(channel, b"here\n")
    request = _request(channel)
    if request is None:
        return
    os.chdir(request["cwd"])
    words: dict[str, float] = request["words"]
    for name in _RESOURCES.keys() & words.keys():
        _lower(_RESOURCES[name], int(words[name]))
    if os.getpid() != 1:
        kernel.adopt_orphans()
    group = Cgroup(request["cgroup"])
    Init(channel, words, group).run(request["argv"], request["env"])


def _request(channel: int) -> dict[str, Any] | None:
    """Return what is to be run; None: the worker was gone before it had said so."""
    head = _exactly(channel, LENGTH.size)
    body = head and _exactly(channel, *LENGTH.unpack(head))
    return marshal.loads(body) if body else None  # noqa: S302 (our own worker's words)


def _exactly(channel: int, count: int) -> bytes:
    """Return ``count`` bytes, or none."""
    got = b""
    while len(got) < count:
        try:
            more = os.read(channel, count - len(got))
        except ConnectionError:
            more = b""
        if not more:
            return b""
        got += more
    return got
