"""One process forks the first process of every run: what runs share, and what they must not."""

from __future__ import annotations

import errno
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import psutil
import pytest

from tasks_app.executors import tree
from tasks_app.executors.base import Ending, StopReason
from tasks_app.executors.containment import choose
from tasks_app.guard import forkserver, kinds
from tests.flow.executions import (
    CONTAINMENTS,
    Run,
    contain_by,
    eventually,
    living,
    make_execution,
    new_marker,
)


@pytest.fixture(params=CONTAINMENTS, autouse=True)
def containment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name = contain_by(request.param, monkeypatch)
    choose().server.forget()
    return name


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


@pytest.fixture
def stopping() -> Iterator[None]:
    """While a worker stops, Celery has a default timeout for the sockets of the whole process."""
    socket.setdefaulttimeout(5)
    yield
    socket.setdefaulttimeout(None)


@pytest.mark.usefixtures("stopping")
def test_what_a_stopping_worker_starts_is_started_as_ever(tmp_path: Path) -> None:
    """X-20."""
    assert [output("echo one", tmp_path), output("echo two", tmp_path)] == [b"one\n", b"two\n"]


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
    """What could not be started is not started later either, and what runs goes on to its end."""
    monkeypatch.setattr(tree, "_START_SECONDS", 1.0)
    marker, healthy = new_marker(), new_marker()
    running = Run(make_execution(f"sleep {healthy} & echo on; wait", root=tmp_path))
    assert eventually(lambda: running.kept.result_bytes == b"on\n")
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
    assert living(marker) == []
    (sleeping,) = living(healthy)
    sleeping.terminate()
    assert running.outcome().exit_code == 0
    assert eventually(lambda: not stopped.is_running())


def test_a_start_that_waits_for_a_stopped_server_hears_that_it_is_not_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D-53: a kill does not wait for the server, neither in front of it nor in the queue."""
    monkeypatch.setattr(tree, "_START_SECONDS", 600.0)
    starts = threading.Semaphore(1)
    monkeypatch.setattr(tree, "_STARTS", starts)
    marker = new_marker()
    assert output("echo on", tmp_path) == b"on\n"
    stopped = server()
    stopped.send_signal(signal.SIGSTOP)
    try:
        runs = [Run(make_execution(f"sleep {marker}", root=tmp_path)) for _ in range(2)]
        assert eventually(lambda: is_taken(starts))
        for run in runs:
            run.stop(StopReason.KILL)
        endings = [run.outcome().ending for run in runs]
    finally:
        stopped.send_signal(signal.SIGCONT)

    assert endings == [Ending.KILLED, Ending.KILLED]
    assert output("echo again", tmp_path) == b"again\n"
    assert living(marker) == []


def is_taken(starts: threading.Semaphore) -> bool:
    if not starts.acquire(blocking=False):
        return True
    starts.release()
    return False


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


@pytest.mark.parametrize("error", [OSError(errno.ENOMEM, "no room"), MemoryError()], ids=repr)
def test_a_server_that_could_not_be_started_once_is_started_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    assert output("echo warm", tmp_path) == b"warm\n"
    started = psutil.Process(choose().server.pid)
    server().kill()
    assert eventually(lambda: not started.is_running())
    with monkeypatch.context() as without_room:
        without_room.setattr(subprocess, "Popen", _raising(error))
        with pytest.raises(type(error)):
            choose().server.fork([0, 1, 2])

    assert output("echo again", tmp_path) == b"again\n"


def _raising(error: Exception) -> Callable[..., None]:
    def popen(*_: object, **__: object) -> None:
        raise error

    return popen


def test_a_guard_that_was_stopped_for_long_holds_up_nobody(
    tmp_path: Path, containment: str
) -> None:
    """X-21: its channel is full by then, and the kill must not wait for it."""
    marker = new_marker()
    words = ["bash", "-c", f"sleep {marker} & kill -STOP $PPID; wait"]
    env = {"PATH": os.environ["PATH"]}
    held = tree.Tree(words, env=env, cwd=tmp_path, server=choose().server)
    with closing(held), held.stdout, held.stderr:
        assert eventually(lambda: len(living(marker)) == 1)

        for _ in range(2000):
            held.renew()

        assert held.kill()
    assert living(marker) == []


def test_what_is_to_be_stopped_before_it_began_is_not_begun(tmp_path: Path) -> None:
    """I9: a start may take so long that the run is another worker's by then."""
    proof = tmp_path / "began"
    words = ["touch", str(proof)]
    env = {"PATH": os.environ["PATH"]}

    with pytest.raises(tree.NotStarted):
        tree.Tree(words, env=env, cwd=tmp_path, server=choose().server, may_start=lambda: False)

    assert output("echo next", tmp_path) == b"next\n"
    assert not proof.exists()


def test_hundreds_that_start_at_once_all_run(tmp_path: Path) -> None:
    choose().server.forget()  # so that they wait for one that is cold
    runs = [Run(make_execution("echo ran", root=tmp_path)) for _ in range(200)]

    endings = [run.outcome(within=60).ending for run in runs]

    assert endings == [Ending.SUCCESS] * len(runs)


def test_a_run_that_is_asked_to_stop_while_it_starts_is_stopped(tmp_path: Path) -> None:
    marker = new_marker()
    run = Run(make_execution(f"sleep {marker}", root=tmp_path))

    run.stop(StopReason.KILL)

    assert run.outcome().ending is Ending.KILLED
    assert living(marker) == []
