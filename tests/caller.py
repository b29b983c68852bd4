"""Calls the API as a client does: signs, posts, unwraps."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from django.test import Client

from jobs.models import App
from sentinel_project import clock
from sentinel_project.wire import token
from sentinel_project.wire.token import Subject
from tests import documented
from tests.builders import KEY

# Two honest calls of the same second differ in their stamps, as a client's should (W-13).
_millis = itertools.count()


@dataclass(frozen=True, slots=True)
class Answer:
    """A reply, unwrapped; ``data`` is decoded if it came as text."""

    status: int
    code: int
    msg: str
    data: Any
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """An app that calls. ``as_json`` sends a JSON body with the parameters as an object."""

    app: App
    key: str = KEY
    user: str = "ann"
    address: str = "10.0.0.1"
    as_json: bool = False
    client: Client = field(default_factory=lambda: Client(raise_request_exception=False))

    def post(self, path: str, /, **parameters: Any) -> Answer:
        """Call ``path``; a parameter that Python has taken is given with an underscore behind."""
        named = {name.rstrip("_"): value for name, value in parameters.items()}
        return self.send(path, **self.envelope(named))

    def envelope(self, parameters: Any) -> dict[str, Any]:
        """Return the four fields of a call, signed now."""
        text = parameters if isinstance(parameters, str) or self.as_json else json.dumps(parameters)
        return {
            "user": self.user,
            "appName": self.app.name,
            "appToken": sign(self.key),
            "parameters": text,
        }

    def send(self, path: str, **fields: Any) -> Answer:
        """Send the fields of an envelope as they are."""
        if self.as_json:
            return self.send_raw(path, json.dumps(fields).encode(), "application/json")
        return self.send_raw(path, urlencode(fields).encode(), "application/x-www-form-urlencoded")

    def send_raw(self, path: str, body: bytes, content_type: str, **headers: Any) -> Answer:
        response = self.client.post(
            path, data=body, content_type=content_type, REMOTE_ADDR=self.address, **headers
        )
        answer = answer_of(response)
        assert documented.problems_of(path, answer.status, answer.raw) == []
        return answer

    def elsewhere(self, **changes: Any) -> Caller:
        """Return the same caller with another key, address or form."""
        return replace(self, **changes)


def answer_of(response: Any) -> Answer:
    """Unwrap a reply; one that is no envelope fails the test here."""
    assert response["Content-Type"] == "application/json", response.content[:200]
    raw = json.loads(response.content)
    assert set(raw) == {"code", "msg", "data"}
    data = json.loads(raw["data"]) if isinstance(raw["data"], str) else raw["data"]
    return Answer(response.status_code, raw["code"], raw["msg"], data, raw)


def sign(key: str, *, stamp: str = "") -> str:
    """Return a token of the published form, by default stamped with a millisecond of now."""
    millis = int(clock.now().timestamp()) * 1000 + next(_millis) % 1000
    stamp = stamp or str(millis)
    return stamp + token.signature(key, stamp)


def sign_strongly(caller: Caller, path: str, parameters: str, *, nonce: str) -> str:
    """Return a token of the strong form (W-11)."""
    stamp = str(int(clock.now().timestamp()))
    subject = Subject(path, caller.app.name, caller.user, parameters)
    signed = token.strong_signature(caller.key, subject, stamp=stamp, nonce=nonce)
    return f"v2:{stamp}:{nonce}:{signed}"
