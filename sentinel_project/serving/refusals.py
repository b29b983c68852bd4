"""What the worker says by itself, without Django: an envelope all the same (W-2)."""

from __future__ import annotations

import contextlib
import json
import socket
from http import HTTPStatus

from sentinel_project.serving.framing import MAX_HEAD, MAX_REQUEST

SAY = {
    HTTPStatus.REQUEST_TIMEOUT: "the request did not arrive in time",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: f"the head has more than {MAX_HEAD} bytes",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: f"the request has more than {MAX_REQUEST} bytes",
    HTTPStatus.SERVICE_UNAVAILABLE: "too much is being sent at once; try again",
}


class Page:
    """Takes gunicorn's own page of an error, of which only the status line is wanted."""

    def __init__(self) -> None:
        self.status_line = "500 Internal Server Error"

    def gettimeout(self) -> float:
        return 0.0

    def sendall(self, page: bytes) -> None:
        self.status_line = page.partition(b"\r\n")[0].decode().partition(" ")[2]


def answer(status: int, phrase: str, said: str) -> bytes:
    code = 9999 if status == HTTPStatus.INTERNAL_SERVER_ERROR else 1
    body = json.dumps({"code": code, "msg": said, "data": "{}"}).encode()
    head = (
        f"HTTP/1.1 {int(status)} {phrase}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def send(sock: socket.socket, said: bytes) -> None:
    """Send the few bytes at once or not at all: nobody waits for a client here."""
    with contextlib.suppress(OSError):
        sock.send(said, socket.MSG_DONTWAIT)
