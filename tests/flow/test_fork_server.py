"""One process forks the first process of every run: what runs share, and what they must not."""

from __future__ import annotations

import errno
import os
import signal
import socket
from pathlib import Path

import psutil
import pytest

from tasks_app.executors import tree
from tasks_app.executors.base import Ending, StopReason
from tasks_app.executors.containment import choose
from tasks_app.guard import forkserver, kinds
from tests.flow.executions import Run, eventually, living, make_execution, new_marker


@pytest.fixture(params=["pid-namespace", "cgroup", "process-group"], autouse=True)
def containment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("SENTINEL_ALLOW_ROOT", "1")
    monkeypatch.setenv("SENTINEL_CONTAINMENT", request.param)
    if choose().name != request.param:
        pytest.skip(f"no {request.param} can be made here")
    choose().server.forget()
    return choose().name


def server() -> psutil.Process:
    """Return the process that forks; what makes its namespace is above it."""
    pid = choose().server.pid
    assert pid is not None
    started = psutil.Process(pid)
    return started.children()[0] if choose().server.is_namespace else started


def output(content: str, root: Path, **changes: object) -> bytes:
    run = Run(make_execution(content, root=root, **changes))
    outcome = run.outcome()
    assert outcome.ending is Ending.SUCCESS, (outcome, run.kept.log_bytes)
    return run.kept.result_bytes


def test_runs_share_one_server_and_no_first_process(tmp_path: Path) -> None:
    readlink = "readlink /proc/$PPID/ns/pid; echo $PPID; "
    marker = new_marker()
    run = Run(make_execution(f"{readlink} sleep {marker}", root=tmp_path))
    assert eventually(lambda: run.kept.result_bytes.count(b"\n") == 2)
    before = server()

    other = output(readlink, tmp_path)

    assert other != run.kept.result_bytes
    assert server() == before
    run.stop(StopReason.FENCED)
    run.outcome()


READ_GUARD = """
guard=$PPID python3 - <<'END'
import os
found = 0
with open(f"/proc/{os.environ['guard']}/maps") as maps, open(
    f"/proc/{os.environ['guard']}/mem", "rb", 0
) as memory:
    for line in maps:
        span, rights = line.split()[:2]
        start, end = (int(number, 16) for number in span.split("-"))
        if rights.startswith("rw"):
            memory.seek(start)
            found += memory.read(end - start).count(("sec" + "ret-of-another").encode())
print(found)
END
"""


def test_nothing_of_one_run_is_in_the_memory_of_the_guard_of_another(tmp_path: Path) -> None:
    """X-20: the request of a run is read by its own first process."""
    secret = {"word": "secret-of-another"}
    assert output("echo $word", tmp_path, extra=secret) == b"secret-of-another\n"

    own = output(READ_GUARD, tmp_path, extra=secret)
    others = output(READ_GUARD, tmp_path)

    assert int(own) > 0, "the search finds what is there"
    assert int(others) == 0


def test_a_guard_has_no_environment_and_no_way_to_the_server(tmp_path: Path) -> None:
    """X-20. Its one socket is the run's own channel, and no namespace is open in it."""
    content = "wc -c < /proc/$PPID/environ; ls -l /proc/$PPID/fd | grep -c socket:;"
    content += "ls -l /proc/$PPID/fd | grep -c pid: || true"

    assert output(content, tmp_path).split()[1:] == [b"1", b"0"]
    environ = output("tr '\\0' '\\n' < /proc/$PPID/environ", tmp_path)
    assert {line.partition(b"=")[0] for line in environ.split()} <= {b"LC_CTYPE"}


def test_a_server_that_is_killed_is_started_again(tmp_path: Path, containment: str) -> None:
    """In a namespace its runs end with it, and say so. Elsewhere they go on."""
    marker = new_marker()
    run = Run(make_execution(f"sleep {marker} & sleep 1; echo on; kill $!", root=tmp_path))
    assert eventually(lambda: len(living(marker)) == 1)

    server().kill()

    assert output("echo again", tmp_path) == b"again\n"
    outcome = run.outcome()
    assert outcome.reason == ("GUARD_LOST" if containment == "pid-namespace" else None)
    assert living(marker) == []


def test_a_server_that_is_stopped_is_asked_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be started is not started later either."""
    monkeypatch.setattr(tree, "_START_SECONDS", 1.0)
    marker = new_marker()
    assert output("echo warm", tmp_path) == b"warm\n"
    stopped = server()
    stopped.send_signal(signal.SIGSTOP)
    try:
        outcome = Run(make_execution(f"sleep {marker}", root=tmp_path)).outcome()
        again = output("echo again", tmp_path)
    finally:
        stopped.send_signal(signal.SIGCONT)

    assert (outcome.ending, outcome.reason) == (Ending.FAILED, "SPAWN_FAILED")
    assert "did not answer" in outcome.message
    assert again == b"again\n"
    assert eventually(lambda: not stopped.is_running())
    assert living(marker) == []


def test_a_server_that_has_no_room_says_so_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def full() -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", full)
    control, asking = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours, theirs = socket.socketpair()
    with control, ours:
        with theirs, open(os.devnull, "wb") as sink:
            for _ in range(2):
                socket.send_fds(asking, [b"F"], [theirs.fileno(), sink.fileno(), sink.fileno()])
        asking.close()

        forkserver.serve(control, kinds.GROUP)

        said = ours.makefile("rb").read()
    assert said == b"failed %d\n" % errno.EAGAIN * 2


def test_a_run_that_is_asked_to_stop_while_it_starts_is_stopped(tmp_path: Path) -> None:
    marker = new_marker()
    run = Run(make_execution(f"sleep {marker}", root=tmp_path))

    run.stop(StopReason.KILL)

    assert run.outcome().ending is Ending.KILLED
    assert living(marker) == []
