"""jobType ``http``: one request to the address in the content; the answer's body is RESULT.

The address is somebody else's choice, so only public ones are called, at the very address that was
checked, and no redirect is followed (netguard).
"""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import httpx

from sentinel_project.netguard import pinned
from sentinel_project.netguard.addresses import AddressRefused, checked
from tasks_app.executors import params
from tasks_app.executors.attended import attend
from tasks_app.executors.base import (
    Ending,
    Execution,
    Outcome,
    Output,
    Stop,
    StopReason,
    failed,
    note,
    stopped,
)
from tasks_app.executors.jobtype import JobType

ALLOW_PRIVATE = "SENTINEL_HTTP_ALLOW_PRIVATE"
#: Bytes of an answer; more is a failure, since half a document is none.
MOST = 256 * 1024 * 1024
_CONNECT_SECONDS = 5.0
_PIECE_BYTES = 64 * 1024
_MOST_TOLD = 1000
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}", re.ASCII)
#: What the client itself says; two of one kind would let a request be read in two ways.
_OURS = {"host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer"}


def _are_headers(value: object) -> bool:
    if not params.table().is_right(value) or not isinstance(value, dict):
        return False
    return all(
        _NAME.fullmatch(name) and name.lower() not in _OURS and text.isascii() and _is_line(text)
        for name, text in value.items()
    )


def _is_line(text: str) -> bool:
    return text == "" or text.replace("\t", " ").isprintable()


def _are_statuses(value: object) -> bool:
    numbers = value if isinstance(value, list) and value else [value]
    return len(numbers) <= 100 and all(
        isinstance(each, int) and not isinstance(each, bool) and 100 <= each <= 599
        for each in numbers
    )


PARAMS = {
    "method": params.word(*_METHODS),
    "headers": params.Param(
        f"an object of plain texts, without {', '.join(sorted(_OURS))}", _are_headers
    ),
    "body": params.text(),
    "expectedStatus": params.Param("a status such as 200, or a list of them", _are_statuses),
}


def address_problem(content: str) -> str | None:
    """Return what can be told to be wrong with an address from its text alone."""
    try:
        checked(content.strip(), allow_private=allows_private())
    except AddressRefused as error:
        return f"it is no address that a job may call: {error}"
    return None


def _text_problem(content: str) -> str | None:
    """A placeholder may stand for a part of it, so such an address is judged when it runs."""
    return None if "$" in content else address_problem(content)


def allows_private() -> bool:
    return os.environ.get(ALLOW_PRIVATE) == "1"


def execute(execution: Execution, output: Output, stop: Stop) -> Outcome:
    """Send the request and hand on what comes back."""
    if problem := address_problem(execution.content):
        note(output, problem)
        return failed("BAD_CONTENT", f"content: {problem}", is_final=True)
    return attend(_Request(execution, output), execution, output, stop)


@dataclass(slots=True)
class _Request:
    execution: Execution
    output: Output
    cancelled: Event = field(default_factory=Event)
    line: socket.socket | None = None

    def cancel(self) -> None:
        """Hang up: what the other side makes of that is its own business."""
        self.cancelled.set()
        if self.line is not None:
            with suppress(OSError):  # it hung up first
                socket.socket.shutdown(self.line, socket.SHUT_RDWR)

    def _trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Keep the connection: to hang up is the one way out of a read that waits."""
        if event in ("connection.connect_tcp.complete", "connection.start_tls.complete"):
            self.line = info["return_value"].get_extra_info("socket")

    def run(self) -> Outcome:
        # How long an answer may take is the job's own timeout to say.
        timeout = httpx.Timeout(None, connect=_CONNECT_SECONDS)
        try:
            with pinned.client(allow_private=allows_private(), timeout=timeout) as client:
                return self._sent(client)
        except AddressRefused as error:
            return self._failed("BAD_CONTENT", f"content: {error}", is_final=True)
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as error:
            return self._failed("BACKEND", f"{type(error).__name__}: {error}")

    def _sent(self, client: httpx.Client) -> Outcome:
        extra = self.execution.extra
        body = extra.get("body")
        request = client.build_request(
            extra.get("method", "GET"),
            self.execution.content.strip(),
            headers=extra.get("headers"),
            content=None if body is None else body.encode(),
            extensions={"trace": self._trace},
        )
        note(self.output, f"{request.method} {request.url}")
        response = client.send(request, stream=True)
        try:
            return self._answered(response)
        finally:
            response.close()

    def _answered(self, response: httpx.Response) -> Outcome:
        kind = response.headers.get("content-type", "")
        note(self.output, f"{response.status_code} {response.reason_phrase} {kind}".rstrip())
        size, head = 0, b""
        for data in response.iter_bytes(_PIECE_BYTES):
            if self.cancelled.is_set():
                return stopped(StopReason.KILL)
            size += len(data)
            if size > MOST:
                return self._failed("BACKEND", f"The answer is longer than {MOST} bytes.")
            head = (head + data)[:_MOST_TOLD] if len(head) < _MOST_TOLD else head
            self.output.result(data)
        return self._judged(response, size, head)

    def _judged(self, response: httpx.Response, size: int, head: bytes) -> Outcome:
        expected = self.execution.extra.get("expectedStatus")
        status = response.status_code
        wanted = expected if isinstance(expected, list) else [expected]
        if status in wanted or (expected is None and 200 <= status < 300):
            return Outcome(Ending.SUCCESS, None, None, f"Answered {status} with {size} bytes.")
        words = "a status from 200 to 299" if expected is None else " or ".join(map(str, wanted))
        place = response.headers.get("location")
        where = f" It points to {place}." if place and response.is_redirect else ""
        told = head.decode(errors="replace").strip()
        text = f"Answered {status}, expected was {words}.{where} {told}"
        return self._failed("BACKEND", text.strip())

    def _failed(self, reason: str, text: str, *, is_final: bool = False) -> Outcome:
        note(self.output, text)
        return failed(reason, text, is_final=is_final)


TYPE = JobType(execute=execute, params=PARAMS, content_problem=_text_problem, is_in_process=True)
