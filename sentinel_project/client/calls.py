"""One call over the wire: sent, repeated while nothing answers, unwrapped.

A call that changes something carries a ``requestId``, so that it is done once however often it had
to be sent; that makes a repetition after a broken connection safe.
"""

from __future__ import annotations

import json
import time
import uuid
from typing import TYPE_CHECKING, Any

from sentinel_project.client.errors import (
    Refusal,
    ServerBroken,
    Unreachable,
    Unreadable,
    WrongAddress,
)
from sentinel_project.client.signing import Signer

if TYPE_CHECKING:
    import httpx

_REFUSED = 1
_FIRST_PAUSE = 0.2
#: A proxy whose server is gone, or coming back: nothing was done, or requestId will know.
_GATEWAY_ERRORS = frozenset({502, 503, 504})
_SHOWN = 120


class Calls:
    """Calls an installation as an app. ``retries``: repetitions of a call that nothing answered."""

    def __init__(self, url: str, signer: Signer, *, timeout: float = 30, retries: int = 3) -> None:
        self._url = url.rstrip("/")
        self._signer = signer
        self._timeout = timeout
        self._retries = retries
        self._http: httpx.Client | None = None

    def read(self, path: str, /, **parameters: Any) -> Any:
        """Call what only reads, such as ``job/query``, and return the answer's data."""
        return self._call(path, parameters)

    def change(self, path: str, /, *, request_id: str = "", **parameters: Any) -> Any:
        """Call what changes something, once: under ``request_id``, or one made for this call."""
        return self._call(path, parameters | {"requestId": request_id or uuid.uuid4().hex})

    def close(self) -> None:
        if self._http is not None:
            self._http.close()
            self._http = None

    def _call(self, path: str, parameters: dict[str, Any]) -> Any:
        text = json.dumps(parameters, ensure_ascii=False)
        pause = _FIRST_PAUSE
        for _ in range(self._retries):
            try:
                return self._send(path, text)
            except Unreachable:
                time.sleep(pause)
                pause *= 2
        return self._send(path, text)

    def _send(self, path: str, parameters: str) -> Any:
        import httpx  # here: it takes a tenth of a second, which `sentinel --help` need not wait

        if self._http is None:
            self._http = httpx.Client(timeout=self._timeout)
        fields = self._signer.fields(f"/api/{path}", parameters)
        try:
            reply = self._http.post(f"{self._url}/api/{path}", data=fields)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise WrongAddress(f"{self._url} is no http or https address: {error}") from None
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise Unreachable(f"{self._url} does not answer: {said}") from None
        if reply.status_code in _GATEWAY_ERRORS:
            raise Unreachable(f"{self._url} answers {reply.status_code} {reply.reason_phrase}")
        return _unwrapped(reply)


def _unwrapped(reply: httpx.Response) -> Any:
    """Return the data of an envelope; raise what its code says."""
    try:
        envelope = reply.json()
        code, msg, data = envelope["code"], str(envelope["msg"]), json.loads(envelope["data"])
    except (ValueError, TypeError, KeyError):
        raise Unreadable(
            f"{reply.url} answers {reply.status_code}, and not as Sentinel does:"
            f" {reply.text[:_SHOWN]!r}; is the address right?"
        ) from None
    if code == 0:
        return data
    raise Refusal(msg, data) if code == _REFUSED else ServerBroken(msg)
