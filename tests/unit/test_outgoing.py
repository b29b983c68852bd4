"""What a client does not take at once is kept, within bounds of size and time."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from sentinel_project import clock
from sentinel_project.serving.outgoing import MAX_KEPT, Outgoing

#: More than the kernel holds between two sockets.
MUCH = b"0123456789abcdef" * 128 * 1024


@pytest.fixture
def ends() -> Iterator[tuple[Outgoing, socket.socket]]:
    """A connection whose client waits for nobody, and is waited for no longer than 0.2 s."""
    ours, theirs = socket.socketpair()
    with Outgoing(ours, 0.2) as out, theirs:
        theirs.settimeout(20)
        yield out, theirs


def go_on(out: Outgoing) -> None:
    deadline = clock.monotonic() + 20
    while clock.monotonic() < deadline:
        out.sendall(b": ping\n\n")


def taken(client: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size and (piece := client.recv(65536)):
        found += piece
    return bytes(found)


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


def test_what_is_too_much_to_be_kept_waits_for_the_client(
    ends: tuple[Outgoing, socket.socket],
) -> None:
    out, client = ends
    found: list[bytes] = []
    much = MUCH * (MAX_KEPT // len(MUCH) + 2)
    reader = threading.Thread(target=lambda: found.append(taken(client, len(much))))
    reader.start()

    out.sendall(much)

    reader.join(20)
    assert found == [much]
    assert not out.kept


def test_who_takes_nothing_of_too_much_is_not_waited_for_any_longer(
    ends: tuple[Outgoing, socket.socket],
) -> None:
    out, _ = ends

    with pytest.raises(TimeoutError):
        out.sendall(MUCH * (MAX_KEPT // len(MUCH) + 2))
