"""What the views of all apps are made of: a call of an app, and the two kinds of endpoint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.db import transaction
from rest_framework.request import Request

from jobs import audit, replays
from jobs.models import App
from sentinel_project import clock
from sentinel_project.errors import Refused
from sentinel_project.wire import jsontext, token
from sentinel_project.wire.address import address_of
from sentinel_project.wire.envelope import Envelope, Reply
from sentinel_project.wire.params import REQUEST_ID
from sentinel_project.wire.view import EnvelopeView

_MAX_REQUEST_ID = 64


@dataclass(frozen=True, slots=True)
class Call:
    """Who calls, and the instant that the whole call happens at."""

    app: App
    user: str
    now: datetime

    @property
    def words(self) -> dict[str, Any]:
        """Return who calls and when, as services want it."""
        return {"app": self.app, "user": self.user, "now": self.now}

    @property
    def asking(self) -> dict[str, Any]:
        """Return the same for services whose subject may be an app itself."""
        return {"by": self.app, "user": self.user, "now": self.now}


class Endpoint(EnvelopeView):
    """An endpoint that reads: also answers GET."""

    http_method_names = ["get", "post"]
    #: Refused to NORMAL apps before anything is looked at, so that the answer tells nothing.
    for_admins: ClassVar[bool] = False

    def answer(self, request: Request, unwrapped: Envelope) -> Reply[Any]:
        assert isinstance(request.auth, App)
        if self.for_admins and not request.auth.is_admin:
            raise Refused("only ADMIN apps may do this")
        call = Call(app=request.auth, user=unwrapped.user, now=clock.now())
        with audit.calling_from(address_of(request)):
            return self.perform(call, unwrapped, endpoint=request.path)

    def perform(self, call: Call, unwrapped: Envelope, *, endpoint: str) -> Reply[Any]:
        return self.reply_to(call, self.params.read(unwrapped.decoded()))

    def reply_to(self, call: Call, params: Any) -> Reply[Any]:
        answer = self.handle(call, params)
        return answer if isinstance(answer, Reply) else Reply(data=answer)

    def handle(self, call: Call, params: Any) -> object:
        """Return the data of the answer, or a whole reply if its code is not always 0."""
        raise NotImplementedError


class Mutation(Endpoint):
    """An endpoint that changes something: POST only, done once however often it comes (W-13)."""

    http_method_names = ["post"]
    #: The answer holds a secret, and is kept sealed for whoever repeats the request.
    seals_answer: ClassVar[bool] = False

    def perform(self, call: Call, unwrapped: Envelope, *, endpoint: str) -> Reply[Any]:
        decoded = unwrapped.decoded()
        request_id = decoded.get(REQUEST_ID)
        params = self.params.read(decoded, found=_request_id_problems(request_id))
        decoded.pop(REQUEST_ID, None)
        asked = replays.digest_of(jsontext.canonical(decoded))
        key = _key(request_id, unwrapped, asked)
        if not key:
            with transaction.atomic():
                return self.reply_to(call, params)
        request = replays.Request(call.app, endpoint, key, asked, self.seals_answer)
        return replays.answer_once(request, lambda: self.reply_to(call, params), now=call.now)


def _request_id_problems(value: object) -> Iterator[str]:
    is_text = isinstance(value, str) and 0 < len(value.strip()) <= len(value) <= _MAX_REQUEST_ID
    if value is not None and not is_text:
        accepted = f"text of 1 to {_MAX_REQUEST_ID} characters"
        yield f"{REQUEST_ID} must be {accepted}, not {jsontext.shown(value)}"


def _key(request_id: object, unwrapped: Envelope, asked: str) -> str:
    """Return what a repetition of the request shares with it; empty: it cannot be repeated.

    The strong token cannot come twice, its nonce is spent. The published one can.
    """
    if request_id is not None:
        return f"id:{request_id}"
    given = token.parse(unwrapped.token)
    if given is None or given.is_strong:
        return ""
    return "v1:" + replays.digest_of(unwrapped.token, unwrapped.user, asked)
