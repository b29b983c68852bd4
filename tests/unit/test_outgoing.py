"""What a client does not take at once is kept, within bounds of size and time."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import pytest

from sentinel_project import clock
from sentinel_project.serving.outgoing import MAX_KEPT, Outgoing

#: More than the kernel holds between two sockets.
MUCH = b"0123456789abcdef" * 128 * 1024
#: More than is kept.
TOO_MUCH = MUCH * (MAX_KEPT // len(MUCH) + 2)


@contextmanager
def connected(patience: float) -> Iterator[tuple[Outgoing, socket.socket]]:
    """A connection whose client is waited for no longer than ``patience``."""
    ours, theirs = socket.socketpair()
    with Outgoing(ours, patience) as out, theirs:
        theirs.settimeout(60)
        yield out, theirs


@pytest.fixture
def ends() -> Iterator[tuple[Outgoing, socket.socket]]:
    """A connection whose client is not waited for."""
    with connected(0.2) as both:
        yield both


def go_on(out: Outgoing) -> None:
    deadline = clock.monotonic() + 20
    while clock.monotonic() < deadline:
        out.sendall(b": ping\n\n")


def taken(client: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size and (piece := client.recv(65536)):
        found += piece
    return bytes(found)


def pushed(out: Outgoing, found: Future[bytes]) -> bytes:
    """Send what is left of it, as the web process does; return what the client has found."""
    while not out.push():
        select.select([], [out], [], 60)
    return found.result(60)


def test_what_is_not_taken_is_kept_and_sent_in_order(ends: tuple[Outgoing, socket.socket]) -> None:
    out, client = ends
    out.sendall(MUCH)
    out.sendall(b"the end")
    assert out.kept

    found = b""
    while not out.push():
        found += client.recv(65536)

    found += taken(client, len(MUCH) + len(b"the end") - len(found))
    assert found == MUCH + b"the end"
    assert not out.kept


def test_a_stream_ends_when_its_client_takes_nothing_for_too_long(
    ends: tuple[Outgoing, socket.socket],
) -> None:
    out, _ = ends
    out.sendall(MUCH)

    with pytest.raises(TimeoutError):
        go_on(out)

    assert len(out.kept) < MAX_KEPT


def test_what_is_too_much_to_be_kept_waits_for_the_client() -> None:
    with connected(60) as (out, client), ThreadPoolExecutor() as reader:
        found = reader.submit(taken, client, len(TOO_MUCH))

        out.sendall(TOO_MUCH)

        assert len(out.kept) <= MAX_KEPT
        assert pushed(out, found) == TOO_MUCH


def test_a_slow_client_is_waited_for_as_long_as_it_takes_something() -> None:
    patience, pause, piece = 2.0, 0.06, MAX_KEPT // 32
    assert len(TOO_MUCH) / piece * pause > patience
    resting = threading.Event()

    def take_slowly() -> bytes:
        found = b""
        while len(found) < len(TOO_MUCH):
            resting.wait(pause)
            found += taken(client, min(piece, len(TOO_MUCH) - len(found)))
        return found

    with connected(patience) as (out, client), ThreadPoolExecutor() as reader:
        found = reader.submit(take_slowly)

        out.sendall(TOO_MUCH)

        assert pushed(out, found) == TOO_MUCH


def test_who_takes_nothing_of_too_much_is_not_waited_for_any_longer(
    ends: tuple[Outgoing, socket.socket],
) -> None:
    out, _ = ends

    with pytest.raises(TimeoutError):
        out.sendall(TOO_MUCH)
