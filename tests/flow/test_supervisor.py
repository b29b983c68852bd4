"""What keeps the parts of a machine running goes on itself, whatever the machine refuses."""

from __future__ import annotations

import errno
import os
import resource
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from sentinel_project import supervisor
from sentinel_project.supervisor import Part, Supervisor
from tests.flow.executions import eventually

PARTS = [
    Part(name=name, argv=[sys.executable, "-c", "import signal; signal.pause()"], stage=0)
    for name in ("one", "other")
]


class Kept:
    """Two parts that run, and what is said of them."""

    def __init__(self, log_dir: Path) -> None:
        self.log_dir = log_dir
        self.said: list[str] = []
        self.is_full = False
        self.supervisor = Supervisor(log_dir, log_dir, self.say)
        for part in PARTS:
            self.supervisor.start(part)

    def say(self, line: str) -> None:
        self.said.append(line)
        if self.is_full:
            raise OSError(errno.ENOSPC, "No space left on device")

    def pid(self, name: str) -> int:
        return self.supervisor._running[name].process.pid

    def end(self, name: str) -> int:
        process = self.supervisor._running[name].process
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        return process.pid

    def watched_until(self, condition: str) -> bool:
        """Look after the parts until something was said."""

        def is_said() -> bool:
            self.supervisor.watch()
            return any(condition in line for line in self.said)

        return eventually(is_said)

    def comes_back(self, name: str, before: int) -> bool:
        def is_back() -> bool:
            self.supervisor.watch()
            return self.pid(name) != before

        return eventually(is_back)


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Kept]:
    monkeypatch.setattr(supervisor, "_FIRST_PAUSE", 0.05)
    made = Kept(tmp_path)
    yield made
    made.supervisor.kill()


def test_a_part_that_cannot_be_started_is_tried_again_and_stops_no_other(kept: Kept) -> None:
    log = kept.log_dir / "one.log"
    log.unlink()
    log.mkdir()
    one, other = kept.end("one"), kept.end("other")

    assert kept.watched_until("one was not started: [Errno 21] Is a directory")
    assert kept.comes_back("other", other)

    log.rmdir()
    assert kept.comes_back("one", one)


@pytest.mark.parametrize("half", [b"", b"the one before"], ids=["none before", "one before"])
def test_a_log_that_cannot_be_kept_is_cut_all_the_same(kept: Kept, half: bytes) -> None:
    """A disk that is full is full of logs; here a limit stands for its end."""
    log, former = kept.log_dir / "one.log", kept.log_dir / "one.log.1"
    former.write_bytes(half)
    with log.open("r+b") as file:
        file.truncate(supervisor._LOG_MAX_BYTES)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (supervisor._LOG_MAX_BYTES // 2, limits[1]))
    try:
        kept.supervisor.watch()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)

    assert log.stat().st_size == 0
    assert not former.exists()
    assert "one.log was emptied and not kept: [Errno 27] File too large" in kept.said


def test_a_log_that_cannot_even_be_emptied_ends_nothing(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with (kept.log_dir / "one.log").open("r+b") as file:
        file.truncate(supervisor._LOG_MAX_BYTES)
    monkeypatch.setattr(os, "truncate", fail)

    assert kept.watched_until("one.log could not be cut: [Errno 5] Input/output error")
    assert kept.comes_back("other", kept.end("other"))


def test_a_log_that_grew_too_large_is_kept_as_the_former_one(kept: Kept) -> None:
    log = kept.log_dir / "one.log"
    with log.open("r+b") as file:
        file.truncate(supervisor._LOG_MAX_BYTES)

    kept.supervisor.watch()

    assert log.stat().st_size == 0
    assert (kept.log_dir / "one.log.1").stat().st_size == supervisor._LOG_MAX_BYTES


def test_what_cannot_be_told_ends_nothing(kept: Kept) -> None:
    """``up`` may write to a file on the disk that is full."""
    kept.is_full = True

    assert kept.comes_back("one", kept.end("one"))

    assert "one ended with signal SIGKILL" in kept.said[0]
