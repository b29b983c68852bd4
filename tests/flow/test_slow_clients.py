"""No client can hold a thread of the web process, or keep others from being answered."""

from __future__ import annotations

import json
import os
import resource
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from sentinel_project.serving.command import web_command
from tests.flow.executions import eventually
from tests.flow.processes import ROOT, free_port

#: Fewer than the clients that misbehave in each test: one of them each would be enough.
THREADS = 2
MANY = 40
#: Longer than any test waits: who is answered meanwhile did not wait for the others' deadline.
LONG = "600"
HEAD = b"POST /api/task/query/status HTTP/1.1\r\nHost: localhost\r\n"
FORM = b"Content-Type: application/x-www-form-urlencoded\r\n"


class Web:
    def __init__(self, port: int, log: Path) -> None:
        self.port = port
        self.log = log

    def is_healthy(self) -> bool:
        """Ask on a connection of its own, as somebody new would."""
        try:
            reply = httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=20)
        except httpx.TransportError:
            return False
        return reply.status_code == 200

    def connect(self, sent: bytes = b"") -> socket.socket:
        client = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        client.sendall(sent)
        return client


@contextmanager
def serving(run_dir: Path, *, seconds: str, files: int | None = None) -> Iterator[Web]:
    """Serve as ``up`` does, in one process with two threads and an empty database."""
    port, log = free_port(), run_dir / "web.log"
    env = os.environ | {
        "DJANGO_SETTINGS_MODULE": "sentinel_project.settings",
        "SENTINEL_RUN_DIR": str(run_dir),
        "SENTINEL_REQUEST_SECONDS": seconds,
    }
    command = web_command(
        f"127.0.0.1:{port}", "--graceful-timeout", "3", workers=1, threads=THREADS
    )
    limit = partial(resource.setrlimit, resource.RLIMIT_NOFILE, (files, files)) if files else None
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=output, stderr=output, preexec_fn=limit
        )
    web = Web(port, log)
    try:
        assert eventually(web.is_healthy, within=60), log.read_text()
        yield web
        assert "Traceback" not in log.read_text(), log.read_text()
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """A web process that gives clients longer than the tests run."""
    with serving(tmp_path_factory.mktemp("patient"), seconds=LONG) as web:
        yield web


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    with serving(tmp_path_factory.mktemp("hasty"), seconds="1") as web:
        yield web


def answer(client: socket.socket) -> tuple[int, dict[str, Any]]:
    """Read one answer to the end of its connection; return status and envelope."""
    received = b""
    while piece := client.recv(65536):
        received += piece
    head, _, body = received.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(body)


UNFINISHED = [
    pytest.param(b"", id="idle"),
    pytest.param(b"POST /api/task/que", id="in the first line"),
    pytest.param(HEAD, id="in the head"),
    pytest.param(HEAD + FORM + b"Content-Length: 100\r\n\r\nuser=", id="in the body"),
    pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nus", id="in a chunk"),
    pytest.param(HEAD + b"Expect: 100-continue\r\nContent-Length: 9\r\n\r\n", id="before the body"),
    pytest.param(
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" + HEAD, id="in the second of two"
    ),
]


@pytest.mark.parametrize("sent", UNFINISHED)
def test_clients_that_do_not_go_on_hold_nobody_up(patient: Web, sent: bytes) -> None:
    with ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(patient.connect(sent))

        assert [patient.is_healthy() for _ in range(5)] == [True] * 5


@pytest.mark.parametrize("sent", [param for param in UNFINISHED if param.id != "idle"])
def test_a_request_that_does_not_arrive_in_time_is_refused(hasty: Web, sent: bytes) -> None:
    """W-2: in the envelope, so that an integrator's client can read it."""
    with hasty.connect(sent) as client:
        received = b""
        while piece := client.recv(65536):
            received += piece

    assert received.rpartition(b"HTTP/1.1 ")[2].startswith(b"408 ")
    refusal = json.loads(received.rpartition(b"\r\n\r\n")[2])
    assert refusal == {"code": 1, "msg": "the request did not arrive in time", "data": "{}"}


def test_a_connection_on_which_nothing_is_sent_is_closed_without_a_word(hasty: Web) -> None:
    with hasty.connect() as client:
        assert client.recv(65536) == b""


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        pytest.param(HEAD + b"X: " + b"x" * 70_000, 431, id="a head without end"),
        pytest.param(HEAD + b"X: " + b"x" * 9_000 + b"\r\n\r\n", 431, id="a long header"),
        pytest.param(HEAD + b"X: y\r\n" * 200 + b"\r\n", 431, id="200 headers"),
        pytest.param(b"GET /" + b"x" * 9_000 + b" HTTP/1.1\r\n\r\n", 414, id="a long address"),
        pytest.param(HEAD + b"Content-Length: 1" + b"0" * 9 + b"\r\n\r\n", 413, id="a long body"),
        pytest.param(HEAD + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400, id="two"),
        pytest.param(HEAD + b"Content-Length: x\r\n\r\n", 400, id="a length that is none"),
        pytest.param(HEAD + b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 200, id="a broken chunk"),
        pytest.param(
            HEAD + b"Transfer-Encoding: tarred\r\n\r\n0\r\n\r\n", 501, id="unknown coding"
        ),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\n\xff", 400, id="another protocol"),
        pytest.param(b"GET / HTTP/1.1\nHost: localhost\n\n", 400, id="bare line feeds"),
    ],
)
def test_what_is_no_request_is_refused_in_the_envelope(
    patient: Web, sent: bytes, status: int
) -> None:
    """W-2: never HTML; and at once, with the client still there."""
    with patient.connect(sent) as client:
        found, refusal = answer(client)

    assert (found, refusal["code"]) == (status, 1)
    assert patient.is_healthy()


def test_garbage_behind_a_request_does_not_cost_its_answer(patient: Web) -> None:
    good = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"

    with patient.connect(good + good + b"\x00garbage\n\n" + good) as client:
        received = b""
        while piece := client.recv(65536):
            received += piece

    statuses = [int(part.split()[0]) for part in received.split(b"HTTP/1.1 ")[1:]]
    assert statuses == [200, 200, 400]


def test_those_who_do_not_hang_up_after_their_answer_hold_nobody_up(patient: Web) -> None:
    """gunicorn would wait 2 s for each of them, and answer nobody meanwhile."""
    asked = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    with ExitStack() as stack:
        clients = [stack.enter_context(patient.connect(asked)) for _ in range(MANY)]
        for client in clients:
            assert client.recv(65536).startswith(b"HTTP/1.1 200")
        assert [patient.is_healthy() for _ in range(5)] == [True] * 5


def ask_for_much(web: Web, times: int) -> socket.socket:
    """Ask for large answers on a connection that holds little of them on its way."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(20)
    client.connect(("127.0.0.1", web.port))
    client.sendall(b"GET /api/schema HTTP/1.1\r\nHost: localhost\r\n\r\n" * times)
    return client


def test_those_who_do_not_take_their_answer_hold_nobody_up(patient: Web) -> None:
    with ExitStack() as stack:
        for _ in range(THREADS * 3):
            stack.enter_context(ask_for_much(patient, 200))

        assert [patient.is_healthy() for _ in range(5)] == [True] * 5


def test_an_answer_that_is_taken_late_is_whole(patient: Web) -> None:
    times = 20
    (whole,) = {httpx.get(f"http://127.0.0.1:{patient.port}/api/schema", timeout=20).content}

    with ask_for_much(patient, times) as client:
        assert patient.is_healthy()
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        received = bytearray()
        while piece := client.recv(65536):
            received += piece

    assert received.count(b"\r\n\r\n" + whole) == times
    assert received.rpartition(b"HTTP/1.1 ")[2].startswith(b"200 ")


def test_who_does_not_take_the_answer_is_left(hasty: Web) -> None:
    with ExitStack() as stack:
        for _ in range(THREADS):
            stack.enter_context(ask_for_much(hasty, 200))

        assert eventually(lambda: hasty.log.read_text().count("does not take") >= THREADS, 60)
        assert hasty.is_healthy()


def test_the_first_readers_of_the_schema_may_come_together(tmp_path: Path) -> None:
    """The document is made for the first of them, in a thread each."""
    asked = b"GET /api/schema HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

    with serving(tmp_path, seconds=LONG) as web, ExitStack() as stack:
        clients = [stack.enter_context(web.connect(asked)) for _ in range(THREADS)]

        assert [answer(client)[0] for client in clients] == [200] * THREADS


@pytest.mark.parametrize(
    "come",
    [
        pytest.param(lambda web: web.connect(HEAD), id="sending"),
        pytest.param(lambda web: ask_for_much(web, 50), id="taking"),
    ],
)
def test_more_connections_than_there_is_room_for_do_not_shut_the_door(
    tmp_path: Path, come: Callable[[Web], socket.socket]
) -> None:
    """Those that have been there longest, and go neither on nor away, give way."""
    files = 320  # of which 20 are for clients
    with serving(tmp_path, seconds=LONG, files=files) as web, ExitStack() as stack:
        for _ in range(MANY):
            stack.enter_context(come(web))

        assert [web.is_healthy() for _ in range(5)] == [True] * 5


def test_a_stop_does_not_wait_for_requests_that_never_end(tmp_path: Path) -> None:
    """They are told, so the process was not simply killed."""
    with ExitStack() as stack:
        with serving(tmp_path, seconds=LONG) as web:
            clients = [stack.enter_context(web.connect(HEAD)) for _ in range(MANY)]
            assert web.is_healthy()

        assert [answer(client)[0] for client in clients] == [408] * MANY


@pytest.mark.parametrize("words", [("--certfile", "manage.py"), ("--proxy-protocol",)])
def test_what_the_worker_cannot_read_is_refused_at_the_start(words: tuple[str, ...]) -> None:
    command = web_command(f"127.0.0.1:{free_port()}", *words)
    env = os.environ | {"DJANGO_SETTINGS_MODULE": "sentinel_project.settings"}

    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)

    assert ended.returncode != 0
    assert "reads plain HTTP/1" in ended.stderr
